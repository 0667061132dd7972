import { expect, test } from 'vitest'
import { createEmbeddedCoordination } from '../../src/coordination/embedded.ts'
import type { EmbeddedCoordination } from '../../src/coordination/embedded.ts'
import { COMPACTION_BYTES, JOURNAL_FILE, SNAPSHOT_FILE } from '../../src/coordination/journal.ts'
import { CoordinationError } from '../../src/env/coordination.ts'
import type { CoordinationSession } from '../../src/env/coordination.ts'
import { coordinationContract } from './contract.ts'
import { CrashDisk } from './crash-disk.ts'

const SESSION = { sessionTimeoutMs: 6000 }

function open(disk: CrashDisk, directory: string | null = '/data'): EmbeddedCoordination {
  let nowMs = 1_700_000_000_000
  return createEmbeddedCoordination({
    disk,
    directory,
    clock: { nowMs: () => nowMs++, monotonicMs: () => nowMs },
    timers: {
      soon: (callback) => void setImmediate(callback),
      after: () => ({ cancel: () => undefined }),
    },
    logger: { log: () => undefined },
  })
}

for (const [name, directory] of [
  ['embedded, journaled', '/data'],
  ['embedded, in memory', null],
] as const) {
  coordinationContract(name, async () => {
    const coordination = open(new CrashDisk(), directory)
    return { coordination, stop: () => coordination.close() }
  })
}

/** Path -> what must survive of it. Ephemeral nodes and what they do to their parents are left out. */
async function dump(session: CoordinationSession, path = '/', into: Record<string, unknown> = {}) {
  const { data, stat } = await session.get(path)
  if (stat.ephemeralOwner !== 0n) return into
  const { version, czxid, mzxid, ctimeMs, mtimeMs } = stat
  into[path] = { data: data === null ? null : data.toString(), version, czxid, mzxid, ctimeMs, mtimeMs }
  for (const name of await session.children(path))
    await dump(session, path === '/' ? `/${name}` : `${path}/${name}`, into)
  return into
}

test('a reopened store holds what it held, without the ephemeral nodes, and its zxids go on growing', async () => {
  const disk = new CrashDisk()
  const first = open(disk)
  const session = await first.connect(SESSION)
  await session.create('/a', Buffer.from('one'))
  await session.create('/a/n_', null, 'persistent_sequential')
  await session.create('/a/e', null, 'ephemeral')
  await session.set('/a', Buffer.from('zwei ü'))
  await session.create('/gone', null)
  await session.delete('/gone')
  const before = await dump(session)
  const ephemeral = (await session.exists('/a/e'))!
  const second = open(disk)
  const next = await second.connect(SESSION)
  expect(next.id).toBeGreaterThan(BigInt(ephemeral.czxid))
  expect(await next.exists('/a/e')).toBeNull()
  expect(await dump(next)).toEqual(before)
  expect((await next.exists('/a'))!).toMatchObject({ childCount: 1, childrenVersion: 3 })
  expect(await next.create('/a/n_', null, 'persistent_sequential')).toBe('/a/n_0000000002')
  await next.create('/a/e', null, 'ephemeral')
  expect((await next.exists('/a/e'))!.czxid).toBeGreaterThan(ephemeral.czxid)
  const third = await open(disk).connect(SESSION)
  expect(await third.children('/a')).toEqual(['n_0000000000', 'n_0000000002'])
})

test('operations of one turn share one sync', async () => {
  const disk = new CrashDisk()
  const session = await open(disk).connect(SESSION)
  const before = disk.syncs
  await Promise.all(Array.from({ length: 50 }, (_, i) => session.create(`/n${i}`, null)))
  expect(disk.syncs - before).toBe(1)
})

test('ephemeral nodes are not synced', async () => {
  const disk = new CrashDisk()
  const session = await open(disk).connect(SESSION)
  await session.create('/ids', null)
  const before = disk.syncs
  await session.create('/ids/1', null, 'ephemeral')
  await session.set('/ids/1', Buffer.from('x'))
  await session.delete('/ids/1')
  expect(disk.syncs).toBe(before)
})

test('the journal is folded into a snapshot, from which the store opens', async () => {
  const disk = new CrashDisk()
  const store = open(disk)
  const session = await store.connect(SESSION)
  const data = Buffer.alloc(1000, 'x')
  await session.create('/a', null)
  for (let i = 0; i * data.length < COMPACTION_BYTES; i++) await session.set('/a', data)
  await session.create('/b', Buffer.from('after'))
  expect(disk.stat(`/data/${SNAPSHOT_FILE}`)).not.toBeNull()
  expect(disk.stat(`/data/${JOURNAL_FILE}`)!.size).toBeLessThan(COMPACTION_BYTES / 10)
  const before = await dump(session)
  await store.close()
  const next = await open(disk).connect(SESSION)
  expect(await dump(next)).toEqual(before)
})

test('a clean stop leaves a short journal', async () => {
  const disk = new CrashDisk()
  const store = open(disk)
  const session = await store.connect(SESSION)
  await session.create('/a', Buffer.alloc(100_000, 'x'))
  await session.create('/e', null, 'ephemeral')
  const before = await dump(session)
  await store.close()
  expect(disk.stat(`/data/${JOURNAL_FILE}`)!.size).toBe(0)
  const next = await open(disk).connect(SESSION)
  expect(await dump(next)).toEqual(before)
  expect(await next.exists('/e')).toBeNull()
})

test('a full disk refuses writes with STORAGE, keeps serving reads, and takes writes again when there is room', async () => {
  const disk = new CrashDisk()
  const store = open(disk)
  const session = await store.connect(SESSION)
  await session.create('/a', Buffer.from('kept'))
  const ephemeral = await store.connect(SESSION)
  await ephemeral.create('/e', null, 'ephemeral')
  disk.full = true
  const [write, read] = await Promise.allSettled([session.set('/a', Buffer.from('lost')), session.get('/a')])
  expect(write).toMatchObject({ status: 'rejected', reason: { code: 'STORAGE' } })
  expect(read).toMatchObject({ status: 'fulfilled', value: { data: Buffer.from('kept') } })
  await ephemeral.close()
  expect(await session.exists('/e')).toBeNull()
  disk.full = false
  await session.set('/a', Buffer.from('new'), 0)
  const before = await dump(session)
  const next = await open(disk).connect(SESSION)
  expect(await dump(next)).toEqual(before)
})

test('a damaged snapshot or a foreign journal is refused, not overwritten', async () => {
  for (const file of [SNAPSHOT_FILE, JOURNAL_FILE]) {
    const disk = new CrashDisk()
    disk.replaceFile(`/data/${file}`, 'something else altogether')
    const error = await open(disk)
      .connect(SESSION)
      .catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(CoordinationError)
    expect((error as CoordinationError).code).toBe('STORAGE')
    expect(disk.readFile(`/data/${file}`).toString()).toBe('something else altogether')
  }
})

test('an expired session loses its ephemeral nodes and hears of it', async () => {
  const store = open(new CrashDisk(), null)
  const session = await store.connect(SESSION)
  const other = await store.connect(SESSION)
  const states: string[] = []
  session.onState((state) => states.push(state))
  await session.create('/e', null, 'ephemeral')
  await store.expire(session.id)
  expect(states).toEqual(['expired'])
  expect(await other.exists('/e')).toBeNull()
  await expect(session.exists('/')).rejects.toMatchObject({ code: 'SESSION_EXPIRED' })
})

/** A fixed run of operations, each awaited; returns how many were answered before the disk died. */
async function workload(
  session: CoordinationSession,
  answered: (count: number) => Promise<void>,
): Promise<number> {
  const text = (i: number): Buffer => Buffer.from(`value ${i} `.repeat(i % 7))
  const steps: (() => Promise<unknown>)[] = [
    () =>
      session.multi([
        { type: 'create', path: '/t', data: null },
        { type: 'create', path: '/ids', data: null },
      ]),
    () => session.create('/ids/1', text(1), 'ephemeral'),
  ]
  for (let i = 0; i < 8; i++) {
    steps.push(
      () => session.create(`/t/${i}`, text(i)),
      () => session.set(`/t/${i}`, text(i + 1)),
      () => session.set('/ids/1', text(i)),
      () =>
        session.multi([
          { type: 'create', path: '/t/n_', data: text(i), mode: 'persistent_sequential' },
          { type: 'check', path: '/t', version: 0 },
          { type: 'set', path: `/t/${i}`, data: null },
        ]),
    )
    if (i % 3 === 2) steps.push(() => session.delete(`/t/${i - 1}`))
  }
  let done = 0
  try {
    for (const step of steps) {
      await step()
      await answered(++done)
    }
  } catch (error) {
    if (!(error instanceof CoordinationError && error.code === 'STORAGE')) throw error
  }
  return done
}

test.each(['kill -9', 'power cut'] as const)(
  'after a %s at every third byte written the store holds all that was answered, and at most the one step in flight',
  async (kind) => {
    const states: Record<string, unknown>[] = []
    const calm = new CrashDisk()
    const calmSession = await open(calm).connect(SESSION)
    states.push(await dump(calmSession))
    await workload(calmSession, async () => void states.push(await dump(calmSession)))
    expect(calm.writtenBytes).toBeGreaterThan(2000)
    for (let position = 0; position < calm.writtenBytes; position += 3) {
      const disk = new CrashDisk({ dieAfterBytes: position })
      const done = await open(disk)
        .connect(SESSION)
        .then((session) => workload(session, async () => undefined))
      const image = kind === 'kill -9' ? disk.afterKill() : disk.afterPowerCut(position)
      const session = await open(image).connect(SESSION)
      const found = JSON.stringify(await dump(session))
      const allowed = [states[done], states[Math.min(done + 1, states.length - 1)]].map((state) =>
        JSON.stringify(state),
      )
      expect(allowed, `${kind} at byte ${position} (this is also the seed), after step ${done}`).toContain(
        found,
      )
      await session.create('/life goes on', null)
      expect(await (await open(image).connect(SESSION)).exists('/life goes on')).not.toBeNull()
    }
  },
)

test('a crash at any moment of a compaction loses nothing', async () => {
  for (let steps = 0; steps < 6; steps++) {
    const disk = new CrashDisk()
    const session = await open(disk).connect(SESSION)
    const data = Buffer.alloc(40_000, 'x')
    await session.create('/a', null)
    let version = 0
    disk.dieAfterReplacements(steps)
    try {
      for (; version < 40; version++) await session.set('/a', data)
    } catch (error) {
      expect(error).toMatchObject({ code: 'STORAGE' })
    }
    for (const image of [disk.afterKill(), disk.afterPowerCut(steps)]) {
      const { stat } = await (await open(image).connect(SESSION)).get('/a')
      expect([version, version + 1]).toContain(stat.version)
    }
  }
})
