/** What the browser lends: asked whether it keeps our chunks when the disk runs low, and how much room there is. */

/** What of `navigator.storage` is used; older browsers and pages without a secure context lack it. */
export type StorageQuestions = Partial<Pick<StorageManager, 'persist' | 'persisted' | 'estimate'>>;

/**
 * kept: the browser clears it only when a person asks. best-effort: it may clear it when the disk runs low, and chunks
 * are fetched again. unknown: this browser does not say.
 */
export type Keeping = 'kept' | 'best-effort' | 'unknown';

/** Asks the browser to keep what is stored; some show a question, so ask only after a person chose to give room. */
export async function askToKeep(storage: StorageQuestions | undefined = browserStorage()): Promise<Keeping> {
  if (storage?.persist === undefined) return 'unknown';
  try {
    const kept = (await storage.persisted?.()) === true || (await storage.persist());
    return kept ? 'kept' : 'best-effort';
  } catch {
    return 'unknown';
  }
}

export interface StorageRoom {
  /** Of all that this origin stores. */
  readonly usedBytes: number;
  /** What the browser says it allows; it may still refuse sooner. */
  readonly quotaBytes: number;
}

/** @returns undefined when this browser does not say */
export async function storageRoom(
  storage: StorageQuestions | undefined = browserStorage(),
): Promise<StorageRoom | undefined> {
  try {
    const { usage, quota } = (await storage?.estimate?.()) ?? {};
    return usage === undefined || quota === undefined ? undefined : { usedBytes: usage, quotaBytes: quota };
  } catch {
    return undefined;
  }
}

function browserStorage(): StorageQuestions | undefined {
  return (globalThis.navigator as { storage?: StorageQuestions } | undefined)?.storage;
}
