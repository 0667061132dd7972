// TypeScript for a Node that reads none: a program, or several, of one file each, with what is installed left where it is.
import { build } from 'esbuild'

/** `more`: esbuild's options, entryPoints and where they go at least. */
export function bundle(more) {
  return build({
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    packages: 'external',
    logLevel: 'warning',
    ...more,
  })
}
