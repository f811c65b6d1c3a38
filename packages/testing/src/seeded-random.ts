/** Random numbers that are the same for the same seed, on every machine. For tests: nothing secret comes from them. */

/** FNV-1a over UTF-16 units, four times with different starts: a seed's text to 128 bits of state. */
function stateOf(text: string): [number, number, number, number] {
  const lane = (start: number): number => {
    let hash = start;
    for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
    return hash >>> 0;
  };
  return [lane(0x811c9dc5), lane(0x9e3779b9), lane(0x85ebca6b), lane(0xc2b2ae35)];
}

/** @returns a function that gives the next number in [0, 1), by sfc32 (PractRand's small fast counting generator) */
export function seededRandom(seed: number | string): () => number {
  let [a, b, c, counter] = stateOf(String(seed));
  const next = (): number => {
    const sum = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + sum;
    return (sum >>> 0) / 2 ** 32;
  };
  for (let i = 0; i < 16; i++) next();
  return next;
}
