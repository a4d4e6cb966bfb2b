// Work that nobody waits for.

import { attempt } from './storage.js';

/**
 * Do one task after another while the page has nothing else to do, each in a slice of time of its own.
 * @param {Window} win
 * @param {(() => unknown)[]} tasks
 */
export const whenIdle = (win, ...tasks) => {
  // WebKit has no idle callbacks.
  const wait = win.requestIdleCallback ?? setTimeout;
  const next = () => {
    attempt(/** @type {() => unknown} */ (tasks.shift()));
    if (tasks[0]) wait(next);
  };
  wait(next);
};
