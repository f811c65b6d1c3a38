/** The directory as its readers see it: every announcement that is valid now, verified by the reader itself. */
import type { Announcement } from './announcement.ts';

export interface Directory {
  /** All peers that announce themselves now, newest announcement of each. */
  announcements(): readonly Announcement[];
  /** Calls back after every change. @returns a function that stops it */
  onChange(listener: () => void): () => void;
}
