import type { BuildOptions } from 'esbuild'

export function bundle(more: BuildOptions): Promise<unknown>
