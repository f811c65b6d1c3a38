/** The bridge from plain classes to Svelte: the state lives in classes that tests run without a browser. */
import { createSubscriber } from 'svelte/reactivity';
import type { Observable } from './observable.ts';

/** @returns the view as something that components and `$derived` follow */
export function observed<T>(source: Observable<T>): { readonly current: T } {
  const subscribe = createSubscriber((update) => source.onChange(update));
  return {
    get current() {
      subscribe();
      return source.view;
    },
  };
}
