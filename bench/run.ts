/**
 * `npm run bench -- NAME [options]`: runs the function `bench` of bench/NAME.ts, prints its result as a table for people
 * on stderr, and as one line of JSON, the last on stdout.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import { errorText, InvalidValueError } from '@unfed/protocol';

interface Benchmark {
  /** @param args what came after the name on the command line @returns what goes into the JSON, numbers in units their names say */
  readonly bench: (args: readonly string[]) => Promise<object>;
}

/** Files of this folder that export `bench`; the others are parts of these. */
function names(): string[] {
  return readdirSync(import.meta.dirname)
    .filter((file) => /^[a-z0-9-]+\.ts$/.test(file))
    .filter((file) => /^export (async )?function bench\(/m.test(readFileSync(join(import.meta.dirname, file), 'utf8')))
    .map((file) => file.slice(0, -'.ts'.length));
}

/** Rows `path value`, nested keys joined by dots; a list of numbers is one row. */
function rows(value: unknown, path: string): [path: string, value: string][] {
  if (Array.isArray(value) && value.every((item) => typeof item === 'number')) {
    return [[path, value.map((item) => String(item).padStart(8)).join('')]];
  }
  if (typeof value === 'object' && value !== null) {
    return Object.entries(value).flatMap(([key, inner]) => rows(inner, path === '' ? key : `${path}.${key}`));
  }
  return [[path, typeof value === 'number' && !Number.isInteger(value) ? value.toPrecision(4) : String(value)]];
}

function printTable(result: object, seconds: number, loadBefore: number): void {
  const machine = {
    machine: `${availableParallelism()} cores, ${cpus()[0]?.model.trim() ?? 'unknown'}, Node ${process.version}`,
    load: `${loadBefore.toFixed(2)} before, ${(loadavg()[0] ?? 0).toFixed(2)} after`,
    seconds,
  };
  const all = [...rows(result, ''), ...rows(machine, '')];
  const width = Math.max(...all.map(([path]) => path.length));
  for (const [path, text] of all) console.error(`${path.padEnd(width)}  ${text}`);
}

try {
  const [name, ...args] = process.argv.slice(2);
  if (name === undefined || !names().includes(name)) {
    throw new InvalidValueError('benchmark', `one of ${names().join(', ')}`, name ?? 'none');
  }
  const loadBefore = loadavg()[0] ?? 0;
  const startMs = performance.now();
  const { bench } = (await import(`./${name}.ts`)) as Benchmark;
  const result = await bench(args);
  printTable(result, (performance.now() - startMs) / 1000, loadBefore);
  // stdout may be a pipe, which is written later: exit only once it has gone out.
  process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0));
} catch (error) {
  console.error(errorText(error));
  process.exit(1);
}
