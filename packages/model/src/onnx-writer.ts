/**
 * Writes ONNX models (IR 10, opset 21, com.microsoft 1) whose weights are external data. Field numbers are those of
 * https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
 */
import { GraphTooLargeError } from './errors.ts';
import * as limits from './limits.ts';
import { MessageWriter } from './protobuf.ts';

const irVersion = 10;
const opsetVersion = 21;
const microsoftDomain = 'com.microsoft';

const elementTypes = { f32: 1, u8: 2, i32: 6, i64: 7, f16: 10 } as const;
export type ElementType = keyof typeof elementTypes;

/** A fixed size, or the name of one that varies. */
export type Dimension = number | string;

/** A whole number, `{ float }`, or whole numbers. */
export type Attribute = number | { readonly float: number } | readonly number[];

export interface ExternalTensor {
  readonly type: ElementType;
  readonly shape: readonly number[];
  /** The file as the session's `externalData` names it. */
  readonly file: string;
  readonly offset: number;
  readonly bytes: number;
}

export interface NodeOptions {
  /** Names of the outputs; one, made from the node's own name, when absent. */
  readonly outputs?: readonly string[];
  readonly attributes?: Readonly<Record<string, Attribute>>;
  /** Whether the operator is one of com.microsoft's. */
  readonly microsoft?: boolean;
}

/** Collects nodes, initializers, inputs and outputs in the order given; the same calls give the same bytes. */
export class GraphWriter {
  readonly #graph = new MessageWriter();
  readonly #initializers = new Set<string>();
  #nodes = 0;

  input(name: string, type: ElementType, shape: readonly Dimension[]): string {
    this.#graph.message(11, valueInfo(name, type, shape));
    return name;
  }

  output(name: string, type: ElementType, shape: readonly Dimension[]): void {
    this.#graph.message(12, valueInfo(name, type, shape));
  }

  /** Adds a node. An input named '' is left out. @returns the name of its first output */
  node(operator: string, inputs: readonly string[], options: NodeOptions = {}): string {
    const name = `${operator}_${this.#nodes++}`;
    const outputs = options.outputs ?? [name];
    const node = new MessageWriter();
    for (const input of inputs) node.text(1, input);
    for (const output of outputs) node.text(2, output);
    node.text(3, name).text(4, operator);
    for (const [key, value] of Object.entries(options.attributes ?? {})) node.message(5, attribute(key, value));
    if (options.microsoft === true) node.text(7, microsoftDomain);
    this.#graph.message(1, node);
    return outputs[0];
  }

  /** Floats that lie in the graph itself. Added once a name. */
  floats(name: string, shape: readonly number[], values: Float32Array): string {
    return this.#raw(name, 'f32', { shape, bytes: littleEndianFloats(values) });
  }

  /** Whole numbers (int64) that lie in the graph itself: shapes, axes, sizes. Named by their values. */
  integers(...values: number[]): string {
    const bytes = new Uint8Array(8 * values.length);
    const view = new DataView(bytes.buffer);
    values.forEach((value, i) => view.setBigInt64(8 * i, BigInt(value), true));
    return this.#raw(`integers_${values.join('_')}`, 'i64', { shape: [values.length], bytes });
  }

  /** Weights that lie in a shard. Added once a name. */
  external(name: string, tensor: ExternalTensor): string {
    if (this.#initializers.has(name)) return name;
    this.#initializers.add(name);
    const message = new MessageWriter();
    for (const size of tensor.shape) message.integer(1, size);
    message.integer(2, elementTypes[tensor.type]).text(8, name);
    const location = { location: tensor.file, offset: String(tensor.offset), length: String(tensor.bytes) };
    for (const [key, value] of Object.entries(location)) {
      message.message(13, new MessageWriter().text(1, key).text(2, value));
    }
    message.integer(14, 1);
    this.#graph.message(5, message);
    return name;
  }

  /** @throws GraphTooLargeError */
  finish(name: string): Uint8Array<ArrayBuffer> {
    this.#graph.text(2, name);
    const model = new MessageWriter().integer(1, irVersion).text(2, 'unfed').message(7, this.#graph);
    model.message(8, new MessageWriter().text(1, '').integer(2, opsetVersion));
    model.message(8, new MessageWriter().text(1, microsoftDomain).integer(2, 1));
    if (model.length > limits.graphBytesMax) throw new GraphTooLargeError(model.length, limits.graphBytesMax);
    return model.finish();
  }

  #raw(name: string, type: ElementType, { shape, bytes }: { shape: readonly number[]; bytes: Uint8Array }): string {
    if (this.#initializers.has(name)) return name;
    this.#initializers.add(name);
    const message = new MessageWriter();
    for (const size of shape) message.integer(1, size);
    message.integer(2, elementTypes[type]).text(8, name).bytes(9, bytes);
    this.#graph.message(5, message);
    return name;
  }
}

function attribute(name: string, value: Attribute): MessageWriter {
  const message = new MessageWriter().text(1, name);
  if (typeof value === 'number') return message.integer(3, value).integer(20, 2);
  if ('float' in value) return message.float(2, value.float).integer(20, 1);
  for (const item of value) message.integer(8, item);
  return message.integer(20, 7);
}

function valueInfo(name: string, type: ElementType, shape: readonly Dimension[]): MessageWriter {
  const sizes = new MessageWriter();
  for (const size of shape) {
    const dimension = new MessageWriter();
    sizes.message(1, typeof size === 'number' ? dimension.integer(1, size) : dimension.text(2, size));
  }
  const tensor = new MessageWriter().integer(1, elementTypes[type]).message(2, sizes);
  return new MessageWriter().text(1, name).message(2, new MessageWriter().message(1, tensor));
}

function littleEndianFloats(values: Float32Array): Uint8Array {
  const bytes = new Uint8Array(4 * values.length);
  const view = new DataView(bytes.buffer);
  values.forEach((value, i) => view.setFloat32(4 * i, value, true));
  return bytes;
}
