// The sensor, read when it is asked for. In the scripts this is a function of its own, which the build puts in.

import { startTag } from './tag.js';

/** What starts a sensor. */
export const readSensor = () => startTag;
