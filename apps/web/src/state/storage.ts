/** The browser's storage, or memory where the browser forbids it: the page works either way. */

/** The part of `Storage` that the page uses. */
export type TextStorage = Pick<Storage, 'getItem' | 'setItem'>;

export function openStorage(): TextStorage {
  try {
    localStorage.getItem('unfed');
    return localStorage;
  } catch {
    return memoryStorage();
  }
}

export function memoryStorage(): TextStorage {
  const texts = new Map<string, string>();
  return {
    getItem: (key) => texts.get(key) ?? null,
    setItem: (key, text) => void texts.set(key, text),
  };
}

/** Storage may be full; the page works on without it. @returns whether it was stored */
export function writeStored(storage: TextStorage, key: string, text: string): boolean {
  try {
    storage.setItem(key, text);
    return true;
  } catch {
    return false;
  }
}
