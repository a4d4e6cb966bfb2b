-- Every statement Onefold runs, once for every database. A statement is headed by its name, followed by why it is quick.
-- `values {int bytes}` stands for any number of rows of parameters, here of a number and a string of bytes each.

-- last_journal_seq: the end of the primary key
select coalesce(max(seq), 0) from journal

-- names: a few dozen rows, read once and kept
select id, text from name

-- add_name: only when a type, site, source or kind is met for the first time
insert into name (id, text) select coalesce(max(id), 0) + 1, ? from name where not exists (select 1 from name where text = ?)
on conflict do nothing

-- meta_get: primary key
select value from meta where key = ?

-- meta_set: primary key
insert into meta (key, value) values (?, ?) on conflict (key) do update set value = excluded.value

-- known_events: journal_event_id
select j.event_id from (values {bytes}) v cross join journal j where j.event_id = v.column1

-- identifiers: primary key of identifier
select i.type, i.value, i.owner, i.shared, i.founded, i.linked_by, i.linked_at, i.first_seen, i.source, i.tier, i.verified
from (values {int bytes}) v cross join identifier i where i.type = v.column1 and i.value = v.column2

-- sharers: primary key of shared_link
select s.type, s.value, s.profile from (values {int bytes}) v cross join shared_link s where s.type = v.column1 and s.value = v.column2

-- profiles: by key or by an identifier: primary keys of identifier and profile, profile_merged_into, identifier_owner, shared_link_profile
with v as (select coalesce(w.column1, o.owner) as key from (values {int int bytes}) w
left join identifier o on o.type = w.column2 and o.value = w.column3)
select 0, p.key, p.id, p.created_at, p.merged_into, p.merged_at, p.merged_by, 0, 0, 0, 0, 0
from v cross join profile p where p.key = v.key
union all
select 1, p.key, p.id, p.created_at, p.merged_into, p.merged_at, p.merged_by, 0, 0, 0, 0, 0
from v cross join profile p where p.merged_into = v.key
union all
select 2, i.type, i.value, i.owner, i.shared, i.founded, i.linked_by, i.linked_at, i.first_seen, i.source, i.tier, i.verified
from v cross join identifier i where i.owner = v.key
union all
select 3, s.type, s.value, s.profile, 0, 0, 0, 0, 0, 0, 0, 0
from v cross join shared_link s where s.profile = v.key

-- profile_by_id: profile_id
select key, merged_into from profile where id = ?

-- save_identifiers: primary key of identifier
insert into identifier (type, value, owner, shared, founded, linked_by, linked_at, first_seen, source, tier, verified)
values {int bytes int int int int int int int int int}
on conflict (type, value) do update set owner = excluded.owner, shared = excluded.shared, founded = excluded.founded,
  linked_by = excluded.linked_by, linked_at = excluded.linked_at, first_seen = excluded.first_seen,
  source = excluded.source, tier = excluded.tier, verified = excluded.verified

-- save_profiles: primary key of profile
insert into profile (key, id, created_at, merged_into, merged_at, merged_by) values {int bytes int int int int}
on conflict (key) do update set merged_into = excluded.merged_into, merged_at = excluded.merged_at, merged_by = excluded.merged_by

-- add_shares: primary key of shared_link
insert into shared_link (type, value, profile) values {int bytes int} on conflict do nothing

-- drop_shares: shared_link_profile; SQLite scans the table for `in (values ...)`, but not for `in (select ...)`
delete from shared_link where (type, value, profile) in
  (select v.column1, v.column2, v.column3 from (values {int bytes int}) v)

-- add_journal: at the end of the primary key; journal_event_id and journal_profile
insert into journal (seq, event_id, received_at, ts, kind, site, source, tier, verified, session, identifiers, outcome, profile, trace, body)
values {int bytes int int int int int int int bytes bytes int int bytes text}

-- add_ledger: at the end of the primary key; the first column counts from the end
insert into ledger (seq, at, kind, journal_seq, body)
select e.newest + v.column1, v.column2, v.column3, v.column4, v.column5
from (select coalesce(max(seq), 0) as newest from ledger) e cross join (values {int int int int text}) v

-- journal_of: journal_profile
select j.seq, j.event_id, j.received_at, j.ts, j.kind, j.site, j.source, j.tier, j.verified, j.session, j.identifiers, j.outcome, j.profile, j.trace, j.body
from (values {int}) v cross join journal j where j.profile = v.column1

-- sightings_of: journal_profile
select j.seq, j.ts, j.site, j.source, j.identifiers from (values {int}) v cross join journal j where j.profile = v.column1

-- journal_at: primary key of journal
select j.seq, j.event_id, j.received_at, j.ts, j.kind, j.site, j.source, j.tier, j.verified, j.session, j.identifiers, j.outcome, j.profile, j.trace, j.body
from (values {int}) v cross join journal j where j.seq = v.column1

-- journal_as: journal_event_id
select j.seq, j.event_id, j.received_at, j.ts, j.kind, j.site, j.source, j.tier, j.verified, j.session, j.identifiers, j.outcome, j.profile, j.trace, j.body
from (values {bytes}) v cross join journal j where j.event_id = v.column1

-- move_journal: primary key of journal
update journal set profile = ? where seq = ?

-- in_force: primary key of meta; the end of the primary key of assertion
select (select value from meta where key = ?), (select coalesce(max(seq), 0) from assertion)

-- add_assertion: at the end of the primary key
insert into assertion (seq) values {int}

-- assertions: all of them, by primary keys
select j.seq, j.event_id, j.received_at, j.ts, j.kind, j.site, j.source, j.tier, j.verified, j.session, j.identifiers, j.outcome, j.profile, j.trace, j.body
from assertion a join journal j on j.seq = a.seq order by a.seq

-- owners_between: a range of the primary key of identifier
select distinct owner from identifier where type = ? and value >= ? and value < ? and owner is not null

-- ledger_after: a range of the primary key
select l.seq, l.at, l.kind, j.event_id, l.body, l.journal_seq from ledger l join journal j on j.seq = l.journal_seq where l.seq > ? order by l.seq limit ?

-- add_tokens: primary key of token
insert into token (event_id, uid, source_site, target_site, tier, minted_at, expires_at)
values {bytes bytes int int int int int}

-- find_token: primary key of token
select uid, source_site, target_site, tier, minted_at, expires_at from token where event_id = ?

-- sweep_tokens: token_expires_at
delete from token where event_id in (select event_id from token where expires_at < ? order by expires_at limit ?)
returning event_id

-- add_key: primary key of secret_key
insert into secret_key (id, name, digest, scopes, created_at) values (?, ?, ?, ?, ?)

-- find_key: primary key of secret_key
select id, name, digest, scopes, created_at, last_used, revoked_at from secret_key where id = ?

-- keys: a scan of a table with a few dozen rows, for the command line
select id, name, digest, scopes, created_at, last_used, revoked_at from secret_key order by created_at, id

-- revoke_key: primary key of secret_key
update secret_key set revoked_at = ? where id = ? and revoked_at is null

-- note_key_use: primary key of secret_key
update secret_key set last_used = ? where id = ? and coalesce(last_used, 0) < ?

-- profiles_of_events: journal_event_id, then the primary key of profile twice
select j.event_id, coalesce(s.id, p.id) from (values {bytes}) v cross join journal j
join profile p on p.key = j.profile left join profile s on s.key = p.merged_into where j.event_id = v.column1

-- newest_journal: the end of the primary key
select seq, event_id, received_at, ts, kind, site, source, tier, verified, session, identifiers, outcome, profile, trace, body
from journal order by seq desc limit ?

-- journal_from: a range of the primary key, in order
select seq, event_id, received_at, ts, kind, site, source, tier, verified, session, identifiers, outcome, profile, trace, body
from journal where seq > ? order by seq limit ?

-- newest_profiles: the last journal entries by primary key, then their profiles
select profile from (select profile, max(seq) as newest from
  (select profile, seq from journal where profile is not null order by seq desc limit ?) recent group by profile) active
order by newest desc limit ?

-- largest_profiles: a scan of identifier_owner, for the doctor
select owner, count(*) from identifier where owner is not null group by owner having count(*) >= ? order by count(*) desc, owner limit ?

-- most_shared: a scan of the primary key of shared_link, for the doctor
select type, value, count(*) from shared_link group by type, value having count(*) >= ? order by count(*) desc, type, value limit ?

-- several_personal: a scan of one type of identifier, for the doctor
select i.owner, count(*) from (values {int int}) v cross join identifier i where i.type = v.column1 and i.owner is not null
group by i.owner, v.column2 having count(*) >= v.column2 order by i.owner

-- all_profiles: a range of the primary key
select key, id, created_at, merged_into, merged_at, merged_by from profile where key > ? order by key limit ?

-- all_identifiers: a range of the primary key
select type, value, owner, shared, founded from identifier where (type, value) > (?, ?) order by type, value limit ?

-- all_shares: a scan in order of the primary key
select type, value, profile from shared_link order by type, value, profile

-- count_journal: a scan, for whoever goes through the whole journal anyway
select count(*) from journal

-- count_profiles: a scan, for the live page of a demonstration only
select count(*) from profile where merged_into is null

-- count_identifiers: a scan, for the live page of a demonstration only
select count(*) from identifier

-- count_shared: a scan, for the live page of a demonstration only
select count(*) from identifier where shared = 1

-- ping: proves that the database answers
select 1
