/** What a command may touch of the process. */
export interface Terminal {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** Characters a line for progress that redraws itself; undefined where stderr is no terminal. */
  readonly columns: number | undefined;
}
