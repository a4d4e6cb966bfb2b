/** The name of the file that pages with partners load besides; the build puts it in. */
declare const LINKS_FILE: string;

/** Marks a function that is called at once; the build turns it into parentheses, by which engines know. */
declare const EAGER: <T>(action: T) => T;
