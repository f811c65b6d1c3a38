/** Steps on a circuit: their results come in order, and no more cells are under way than a window, so that no hop floods. */

/** First byte of a dummy step: no frame of a stage begins with it. */
const coverKind = 0;

/** @param bytes of the step that it looks like */
export function coverMessage(bytes: number): Uint8Array {
  return new Uint8Array(bytes);
}

export function isCover(message: Uint8Array): boolean {
  return message[0] === coverKind;
}

export interface WaitingStep {
  readonly message: Uint8Array;
  readonly padded: boolean;
  readonly cells: number;
  /** Positions that were asked back. */
  readonly rows: number;
  readonly resolve: (hidden: Float32Array<ArrayBuffer>) => void;
  readonly reject: (error: Error) => void;
  readonly expires: ReturnType<typeof setTimeout>;
}

export class StepWindow {
  readonly #windowCells: number;
  readonly #send: (step: WaitingStep) => void;
  readonly #underWay: WaitingStep[] = [];
  readonly #waiting: WaitingStep[] = [];
  #cells = 0;

  constructor(windowCells: number, send: (step: WaitingStep) => void) {
    this.#windowCells = windowCells;
    this.#send = send;
  }

  push(step: WaitingStep): void {
    this.#waiting.push(step);
    this.#flush();
  }

  /** A result came. @returns the step whose it is */
  shift(): WaitingStep | undefined {
    const step = this.#underWay.shift();
    if (step === undefined) return undefined;
    clearTimeout(step.expires);
    this.#cells -= step.cells;
    this.#flush();
    return step;
  }

  rejectAll(error: Error): void {
    for (const step of [...this.#underWay.splice(0), ...this.#waiting.splice(0)]) {
      clearTimeout(step.expires);
      step.reject(error);
    }
    this.#cells = 0;
  }

  /** A step alone passes whatever its size: a longer message than the window is refused where it is cut. */
  #flush(): void {
    for (;;) {
      const next = this.#waiting.at(0);
      if (next === undefined || (this.#cells > 0 && this.#cells + next.cells > this.#windowCells)) return;
      this.#waiting.shift();
      this.#underWay.push(next);
      this.#cells += next.cells;
      this.#send(next);
    }
  }
}
