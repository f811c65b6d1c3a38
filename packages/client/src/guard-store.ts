/**
 * Where the sample of guards outlives the page or process: a text of some hundred characters. Reading and writing are
 * synchronous, so that no other tab's change falls in between: all tabs of a person share one sample.
 */
export interface GuardStore {
  /** @returns undefined while nothing was written */
  read(): string | undefined;
  /** @throws what the medium throws when it lends no room */
  write(text: string): void;
}

/** Guards for as long as this object lives: where nothing else is lent, and where peers are new at every start anyway. */
export function memoryGuardStore(): GuardStore {
  let held: string | undefined;
  return {
    read: () => held,
    write: (text) => {
      held = text;
    },
  };
}

const pageKey = 'unfed.guards';

/**
 * localStorage: what it lacks, room and transactions, is not needed here, and IndexedDB could be read only after a wait.
 * @param storage the page's own
 */
export function pageGuardStore(storage: Pick<Storage, 'getItem' | 'setItem'>): GuardStore {
  return {
    read: () => storage.getItem(pageKey) ?? undefined,
    write: (text) => storage.setItem(pageKey, text),
  };
}

/** In memory where the browser lends no storage, as with all cookies blocked: guards then change at every load. */
export function openPageGuardStore(): GuardStore {
  try {
    return pageGuardStore(localStorage);
  } catch {
    return memoryGuardStore();
  }
}
