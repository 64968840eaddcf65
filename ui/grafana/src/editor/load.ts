import type { Handle, Options } from './codemirror';

interface Chunk {
  mount(parent: HTMLElement, options: Options): Handle;
}

/** What the module loader says of this module; absent in tests. */
declare const amd: { uri?: string; id?: string } | undefined;
/** The name of the chunk's file, with a hash of what is in it. */
declare const EDITOR_CHUNK: string;

let loading: Promise<Chunk> | undefined;

/** The address of a file beside module.js, wherever Grafana serves plugins from. */
export function besideModule(uri: string | undefined, file: string): string {
  const at = uri && /^(.*\/)?[^/]*$/.exec(uri.split('?')[0])?.[1];
  return new URL(`${at ?? 'public/plugins/belfry-belfry-datasource/'}${file}`, document.baseURI).href;
}

/** Loads the code editor once. A failure is tried again the next time. */
export function loadEditor(): Promise<Chunk> {
  loading ??= (import(besideModule(typeof amd === 'undefined' ? undefined : (amd.uri ?? amd.id), EDITOR_CHUNK)) as Promise<Chunk>).catch(
    (err: unknown) => {
      loading = undefined;
      throw err;
    }
  );
  return loading;
}
