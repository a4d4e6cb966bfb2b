/** The name of the file that pages with partners load besides; the build puts it in. */
declare const LINKS_FILE: string;
