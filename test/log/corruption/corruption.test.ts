/**
 * 10,000 times one file of a data directory is damaged: bits, bytes, zeros, cut, longer. Then a log manager starts on it,
 * everything is read, asked for, appended to, stopped, and started again. What must hold:
 *
 * - Nothing throws but a DiskError 'IO' of what lies in a damaged `.log` (KAFKA_STORAGE_ERROR for the client), and a LogDirError
 *   of one line where `meta.properties` is damaged. The second start does as well as the first.
 * - A batch that a read gives is byte for byte one that was written, at its offset, or its CRC does not match, which the client
 *   sees. The partition leader epoch, which no CRC covers, is left out. Nor does one cover the base offset: too high where no
 *   batch is below it (the last of the log, a gap that a compaction left), it cannot be told.
 * - Offsets in what is read rise, do not overlap, and lie in the log. Every read ends.
 * - What lies below the damage is served. Where a recovery cuts, a line in the log says so; but that an end which was not
 *   flushed was cut between two batches, after a kill, leaves no trace.
 * - Damage outside of `.log` files changes nothing of what is read, looked up by time or named as aborted, and costs no error.
 *   But a log-start-offset-checkpoint or leader-epoch-checkpoint with another whole number is believed, and so is a
 *   transaction index without its last entries.
 * - A producer's last batch, sent again, is known; what is appended is there after the next start.
 *
 * A failure names its seed: CORRUPTION_SEED=<seed> tries that one alone.
 */
import { beforeAll, describe, expect, it } from 'vitest'
import { tryDamage } from './after-damage.ts'
import { BASE_NAMES, buildBaseDirectories, type BaseDirectory } from './base-directories.ts'

const TRIES = 10_000
const only = process.env.CORRUPTION_SEED

describe('a damaged file is found and reported or recovered, never served as good', () => {
  let bases: BaseDirectory[] = []
  let tries = 0
  const kinds = new Set<string>()

  beforeAll(async () => {
    bases = await buildBaseDirectories()
  })

  it.each(BASE_NAMES.map((name, index) => ({ name, index })))('$name', async ({ index }) => {
    const base = bases[index]
    expect(`${base.name}, ${base.ending}`).toBe(BASE_NAMES[index])
    for (let seed = index; seed < TRIES; seed += bases.length) {
      if (only !== undefined && seed !== Number(only)) continue
      kinds.add((await tryDamage(base, seed)).kind)
      tries++
    }
  })

  it('is tried 10,000 times, on files of every kind', () => {
    if (only !== undefined) return
    expect(tries).toBe(TRIES)
    expect([...kinds].sort()).toMatchInlineSnapshot(`
      [
        ".index",
        ".index.deleted",
        ".index.swap",
        ".kafka_cleanshutdown",
        ".lock",
        ".log",
        ".log.cleaned",
        ".log.deleted",
        ".log.swap",
        ".snapshot",
        ".timeindex",
        ".timeindex.deleted",
        ".timeindex.swap",
        ".txnindex",
        "cleaner-offset-checkpoint",
        "leader-epoch-checkpoint",
        "log-start-offset-checkpoint",
        "meta.properties",
        "partition.metadata",
        "recovery-point-offset-checkpoint",
        "replication-offset-checkpoint",
      ]
    `)
  })
})
