/** Progress on stderr: one line that redraws itself in a terminal, one line every tenth elsewhere. */
import type { Terminal } from './terminal.ts';

export interface ProgressBar {
  /** @param part done, 0 to 1 */
  show(part: number, note: string): void;
  /** Leaves the line. May be called twice. */
  end(): void;
}

const barChars = 30;
const noteCharsMax = 24;

export function progressBar({ err, columns }: Pick<Terminal, 'err' | 'columns'>): ProgressBar {
  let shown = '';
  let tenths = -1;
  return {
    show(part, note) {
      const percent = Math.floor(100 * Math.min(1, Math.max(0, part)));
      if (columns === undefined) {
        const tenth = Math.floor(percent / 10);
        if (tenth > tenths) err(`${String(10 * tenth).padStart(3)} % ${note}\n`);
        tenths = Math.max(tenths, tenth);
        return;
      }
      const done = Math.round((barChars * percent) / 100);
      const bar = '█'.repeat(done) + '░'.repeat(barChars - done);
      const line = `${bar} ${String(percent).padStart(3)} % ${note.slice(0, noteCharsMax).padEnd(noteCharsMax)}`;
      if (line !== shown) err(`\r${line.slice(0, columns - 1)}`);
      shown = line;
    },
    end() {
      if (shown !== '') err('\n');
      shown = '';
    },
  };
}
