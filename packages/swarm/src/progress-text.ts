/** A line of text that says how a download goes: for terminals, and wherever there is no picture. Pure. */

export interface ProgressFigures {
  readonly doneBytes: number;
  readonly totalBytes: number;
  /** 0 while nothing comes. */
  readonly bytesPerSecond: number;
  readonly peers: number;
  /** Whether a seed is being asked too. */
  readonly seed: boolean;
  readonly paused?: boolean;
}

const unitBytes = 1024;
const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const;

/** `1.5 GiB`, `38 MiB`, `512 B`: three digits at most before the point, one behind it below ten. */
export function bytesText(bytes: number): string {
  let [amount, unit] = [Math.max(0, bytes), 0];
  while (Math.round(amount) >= unitBytes && unit < units.length - 1) {
    amount /= unitBytes;
    unit++;
  }
  const digits = unit > 0 && amount < 9.95 ? amount.toFixed(1) : String(Math.round(amount));
  return `${digits} ${units[unit] ?? 'B'}`;
}

/** `8 s`, `3 min 20 s`, `2 h 5 min`: the two largest units, rounded up, so that it never promises too much. */
export function durationText(seconds: number): string {
  const whole = Math.max(0, Math.ceil(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return joined(Math.floor(whole / 60), 'min', { rest: whole % 60, unit: 's' });
  const minutes = Math.ceil(whole / 60);
  return joined(Math.floor(minutes / 60), 'h', { rest: minutes % 60, unit: 'min' });
}

function joined(amount: number, unit: string, smaller: { readonly rest: number; readonly unit: string }): string {
  return smaller.rest === 0 ? `${amount} ${unit}` : `${amount} ${unit} ${smaller.rest} ${smaller.unit}`;
}

/** @returns undefined while nothing comes and something is missing; 0 when all is there */
export function secondsLeft({ doneBytes, totalBytes, bytesPerSecond }: ProgressFigures): number | undefined {
  if (doneBytes >= totalBytes) return 0;
  return bytesPerSecond > 0 ? (totalBytes - doneBytes) / bytesPerSecond : undefined;
}

/**
 * `[████████░░░░░░░░]  52 %  1.2 GiB of 2.3 GiB  8.4 MiB/s  5 peers and the seed  2 min 14 s left`
 * @param columns of the terminal; the bar takes what the words leave, and goes first when there is no room
 */
export function progressLine(figures: ProgressFigures, columns: number): string {
  const { doneBytes, totalBytes } = figures;
  const share = totalBytes === 0 ? 1 : Math.min(1, Math.max(0, doneBytes / totalBytes));
  // Rounded down: 100 % stands for all of it.
  const percent = `${String(Math.floor(share * 100)).padStart(3)} %`;
  const words = [percent, `${bytesText(doneBytes)} of ${bytesText(totalBytes)}`, ...paceWords(figures)].join('  ');
  const cells = Math.min(barCellsMax, columns - words.length - 3);
  if (cells < barCellsMin) return words.slice(0, Math.max(0, columns));
  const filled = Math.floor(share * cells);
  return `[${'█'.repeat(filled)}${'░'.repeat(cells - filled)}] ${words}`;
}

const barCellsMax = 32;
const barCellsMin = 8;

function paceWords(figures: ProgressFigures): string[] {
  const left = secondsLeft(figures);
  if (left === 0) return ['complete'];
  if (figures.paused === true) return ['paused'];
  const sources = sourcesText(figures);
  if (left === undefined) return [sources, 'waiting'];
  return [`${bytesText(figures.bytesPerSecond)}/s`, sources, `${durationText(left)} left`];
}

function sourcesText({ peers, seed }: ProgressFigures): string {
  const named = peers === 0 ? '' : peers === 1 ? '1 peer' : `${peers} peers`;
  if (named === '') return seed ? 'the seed' : 'no sources';
  return seed ? `${named} and the seed` : named;
}
