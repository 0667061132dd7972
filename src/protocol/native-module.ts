import { createRequire } from 'node:module'

const load = createRequire(import.meta.url)

/**
 * A package with native code, loaded when it is first asked for: start-up pays for none of them, and a platform that
 * has no binary for one loses that codec alone. `createRequire` is invisible to the bundler, so the package stays
 * outside the bundle, next to its binaries.
 */
export function lazyNative<T>(packageName: string): () => T | null {
  let loaded: T | null | undefined
  return () => {
    if (loaded === undefined) {
      try {
        loaded = load(packageName) as T
      } catch {
        loaded = null
      }
    }
    return loaded
  }
}

interface BuiltIns {
  'node:zlib': typeof import('node:zlib')
}

/** A module of Node that start-up can do without. */
export function builtIn<N extends keyof BuiltIns>(name: N): BuiltIns[N] {
  return load(name) as BuiltIns[N]
}
