/** Numbers, sizes, times and peers as people read them. */

const counts = new Intl.NumberFormat('en');
const oneDigit = new Intl.NumberFormat('en', { maximumFractionDigits: 1 });
const twoDigits = new Intl.NumberFormat('en', { maximumFractionDigits: 2 });
const clock = new Intl.DateTimeFormat('en', { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
const clockSeconds = new Intl.DateTimeFormat('en', { timeStyle: 'medium', hourCycle: 'h23' });

export function countText(count: number): string {
  return counts.format(count);
}

/** Two digits under 10, whole numbers from 100 on. */
export function rateText(value: number): string {
  if (value >= 100) return counts.format(Math.round(value));
  return (value >= 10 ? oneDigit : twoDigits).format(value);
}

/** Two whole numbers and what lies between. */
export function rangeText([low, high]: readonly [number, number]): string {
  return `${counts.format(low)} to ${counts.format(high)}`;
}

/** @returns decimal units, as networks and shops count them */
export function bytesText(bytes: number): string {
  return inUnits(bytes, 1000);
}

/** What lies in memory or on the disk, in the units of `memoryText`, so that both stand beside each other. */
export function storedText(bytes: number): string {
  return inUnits(bytes, 1024);
}

function inUnits(bytes: number, unitBytes: number): string {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= unitBytes - 0.5 && unit < units.length - 1) {
    value /= unitBytes;
    unit++;
  }
  return `${value >= 10 || unit === 0 ? counts.format(Math.round(value)) : oneDigit.format(value)} ${units[unit]}`;
}

/** Memory in binary units, under the names that people use for them. */
export function memoryText(mebibytes: number): string {
  return mebibytes < 1024 ? `${counts.format(mebibytes)} MB` : `${oneDigit.format(mebibytes / 1024)} GB`;
}

export function timeText(ms: number): string {
  return clock.format(ms);
}

/** A time with its seconds. */
export function secondsText(ms: number): string {
  return clockSeconds.format(ms);
}

/** The end of a peer id: its start is the same for all. */
export function peerText(peer: string): string {
  return `…${peer.slice(-8)}`;
}
