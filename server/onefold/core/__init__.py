"""The pure core: identifiers, normalisation, consent, rules, and the resolver."""
