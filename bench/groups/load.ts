/**
 * The load of bench/groups, in a process of its own: `node group-load.mjs '{"mode": ..., ...}'` does one measurement against one
 * broker and prints one line of JSON.
 */
import { commitLoad } from './commits.ts'
import type { CommitLoad } from './commits.ts'
import { formation } from './formation.ts'
import type { Formation } from './formation.ts'

export type Load = ({ readonly mode: 'formation' } & Formation) | ({ readonly mode: 'commits' } & CommitLoad)

const load = JSON.parse(process.argv[2]) as Load
const result = load.mode === 'formation' ? await formation(load) : await commitLoad(load)
console.log(JSON.stringify(result))
// Connections may still be open.
process.exit(0)
