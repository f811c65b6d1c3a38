/**
 * Chat templates are programs that come with a model, so anybody's: loops within loops would hold this machine for ever.
 * They run here with a limit on the work they do and on what they make. Sole importer of @huggingface/jinja.
 */
import { Environment, Interpreter, Template } from '@huggingface/jinja';
import { ChatTemplateError } from './errors.ts';
import * as limits from './limits.ts';

type Evaluate = Interpreter['evaluate'];

class BoundedInterpreter extends Interpreter {
  #work = 0;

  override evaluate(...[statement, environment]: Parameters<Evaluate>): ReturnType<Evaluate> {
    this.#count(1);
    const result = super.evaluate(statement, environment);
    // What is large costs work to whatever handles it, natively or not.
    this.#count(checkedSize(result.value));
    return result;
  }

  #count(work: number): void {
    this.#work += work;
    if (this.#work > limits.templateWorkMax) {
      throw new ChatTemplateError(`one that does not end within ${limits.templateWorkMax} operations`);
    }
  }
}

/** @returns the size of a value, as work @throws ChatTemplateError for one that is too large */
function checkedSize(value: unknown): number {
  if (typeof value === 'string') {
    check(value.length, limits.templateTextCharsMax, 'characters');
    return value.length / limits.templateCharsPerWork;
  }
  if (typeof value === 'number') check(Math.abs(value), limits.templateItemsMax, 'as a number');
  if (!Array.isArray(value)) return 0;
  check(value.length, limits.templateItemsMax, 'items');
  return value.length;
}

function check(size: number, max: number, what: string): void {
  if (size > max) throw new ChatTemplateError(`one that makes ${size} ${what}, where ${max} is the most`);
}

/**
 * The same as the library's `Template.render`, bounded.
 * @throws ChatTemplateError over a limit, whatever the library throws for a template that it cannot read or run
 */
export function boundedTemplate(source: string): (variables: Record<string, unknown>) => string {
  check(source.length, limits.templateSourceCharsMax, 'characters of source');
  const { parsed } = new Template(source);
  return (variables) => {
    const environment = new Environment();
    for (const [name, value] of Object.entries({ ...globals, ...variables })) environment.set(name, value);
    const { value } = new BoundedInterpreter(environment).run(parsed);
    return typeof value === 'string' ? value : '';
  };
}

/** What every template may use, as the library sets it up, but for a range that has an end. */
const globals = {
  true: true,
  True: true,
  false: false,
  False: false,
  none: null,
  None: null,
  raise_exception(text: unknown): never {
    throw new ChatTemplateError(`"${String(text).slice(0, limits.templateErrorCharsMax)}"`);
  },
  strftime_now: (format: unknown): string => new Template('{{ strftime_now(format) }}').render({ format }),
  range,
};

function range(first: number, last?: number, step = 1): number[] {
  const [start, stop] = last === undefined ? [0, first] : [first, last];
  const count = Math.max(0, Math.ceil((stop - start) / step));
  check(count, limits.templateItemsMax, 'items');
  return Array.from({ length: count }, (_, i) => start + i * step);
}
