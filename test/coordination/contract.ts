/**
 * What every coordination service must do, written against the interface alone. The embedded store runs it here; a real
 * ensemble runs the same tests.
 */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { CoordinationError } from '../../src/env/coordination.ts'
import type {
  Coordination,
  CoordinationErrorCode,
  CoordinationSession,
  Watch,
  WatchEvent,
} from '../../src/env/coordination.ts'

export interface CoordinationUnderTest {
  readonly coordination: Coordination
  stop(): Promise<void>
}

const SESSION = { sessionTimeoutMs: 6000 }
const bytes = (text: string): Buffer => Buffer.from(text)

/** A watch that remembers, and that can be waited for. */
function recorder(): { watch: Watch; events: WatchEvent[]; next(): Promise<WatchEvent> } {
  const events: WatchEvent[] = []
  const waiting: ((event: WatchEvent) => void)[] = []
  let taken = 0
  return {
    events,
    watch: (event) => {
      events.push(event)
      waiting.shift()?.(event)
    },
    next: () =>
      taken < events.length
        ? Promise.resolve(events[taken++])
        : new Promise((resolve) => waiting.push((event) => resolve((taken++, event)))),
  }
}

async function failure(
  promise: Promise<unknown>,
): Promise<{ code: CoordinationErrorCode; operationIndex: number }> {
  const error = await promise.then(
    () => null,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(CoordinationError)
  const { code, operationIndex } = error as CoordinationError
  return { code, operationIndex }
}

async function codeOf(promise: Promise<unknown>): Promise<CoordinationErrorCode> {
  return (await failure(promise)).code
}

export function coordinationContract(name: string, start: () => Promise<CoordinationUnderTest>): void {
  describe(name, () => {
    let service: CoordinationUnderTest
    let session: CoordinationSession
    let other: CoordinationSession
    /** Every test works below a node of its own. */
    let base: string
    let count = 0

    beforeEach(async () => {
      service = await start()
      session = await service.coordination.connect(SESSION)
      other = await service.coordination.connect(SESSION)
      base = await session.create(`/contract-${process.pid}-${count++}-`, null, 'persistent_sequential')
    })
    afterEach(async () => {
      await session.close()
      await other.close()
      await service.stop()
    })

    nodeTests(() => ({ session, other, base, service }))
    sequenceTests(() => ({ session, other, base, service }))
    multiTests(() => ({ session, other, base, service }))
    watchTests(() => ({ session, other, base, service }))
    sessionTests(() => ({ session, other, base, service }))
  })
}

type World = () => {
  session: CoordinationSession
  other: CoordinationSession
  base: string
  service: CoordinationUnderTest
}

function nodeTests(world: World): void {
  test('a created node is read back with its stat', async () => {
    const { session, base } = world()
    expect(await session.create(`${base}/a`, bytes('one'))).toBe(`${base}/a`)
    const { data, stat } = await session.get(`${base}/a`)
    expect(data?.toString()).toBe('one')
    expect(stat).toMatchObject({
      version: 0,
      childrenVersion: 0,
      ephemeralOwner: 0n,
      dataLength: 3,
      childCount: 0,
    })
    expect(stat.mzxid).toBe(stat.czxid)
    expect(stat.pzxid).toBe(stat.czxid)
    expect(stat.mtimeMs).toBe(stat.ctimeMs)
  })

  test('data can be null, and empty', async () => {
    const { session, base } = world()
    await session.create(`${base}/null`, null)
    await session.create(`${base}/empty`, Buffer.alloc(0))
    expect((await session.get(`${base}/null`)).stat.dataLength).toBe(0)
    expect((await session.get(`${base}/empty`)).data?.length ?? 0).toBe(0)
  })

  test('set raises the version and the mzxid and leaves the czxid', async () => {
    const { session, base } = world()
    await session.create(`${base}/a`, bytes('one'))
    const before = (await session.get(`${base}/a`)).stat
    const after = await session.set(`${base}/a`, bytes('two'), 0)
    expect(after).toMatchObject({ version: 1, czxid: before.czxid, dataLength: 3 })
    expect(after.mzxid).toBeGreaterThan(before.mzxid)
    expect((await session.get(`${base}/a`)).data?.toString()).toBe('two')
  })

  test('a version other than -1 must be equal, 0 included', async () => {
    const { session, base } = world()
    await session.create(`${base}/a`, null)
    expect(await codeOf(session.set(`${base}/a`, bytes('x'), 1))).toBe('BAD_VERSION')
    await session.set(`${base}/a`, bytes('x'))
    expect(await codeOf(session.set(`${base}/a`, bytes('y'), 0))).toBe('BAD_VERSION')
    expect(await codeOf(session.delete(`${base}/a`, 0))).toBe('BAD_VERSION')
    await session.delete(`${base}/a`, 1)
    expect(await session.exists(`${base}/a`)).toBeNull()
  })

  test('what is missing is NO_NODE', async () => {
    const { session, base } = world()
    expect(await codeOf(session.get(`${base}/none`))).toBe('NO_NODE')
    expect(await codeOf(session.set(`${base}/none`, null))).toBe('NO_NODE')
    expect(await codeOf(session.delete(`${base}/none`))).toBe('NO_NODE')
    expect(await codeOf(session.children(`${base}/none`))).toBe('NO_NODE')
    expect(await codeOf(session.create(`${base}/none/below`, null))).toBe('NO_NODE')
    expect(await session.exists(`${base}/none`)).toBeNull()
  })

  test('a node is created once', async () => {
    const { session, other, base } = world()
    const made = await Promise.allSettled([
      session.create(`${base}/a`, null),
      other.create(`${base}/a`, null),
    ])
    expect(made.map((result) => result.status).sort()).toEqual(['fulfilled', 'rejected'])
    expect(await codeOf(session.create(`${base}/a`, null))).toBe('NODE_EXISTS')
  })

  test('a node with children is not deleted', async () => {
    const { session, base } = world()
    await session.create(`${base}/a`, null)
    await session.create(`${base}/a/b`, null)
    expect(await codeOf(session.delete(`${base}/a`))).toBe('NOT_EMPTY')
    await session.delete(`${base}/a/b`)
    await session.delete(`${base}/a`)
  })

  test('children are names, sorted; their coming and going moves cversion and pzxid only', async () => {
    const { session, base } = world()
    for (const name of ['b', 'a', 'c']) await session.create(`${base}/${name}`, null)
    expect(await session.children(base)).toEqual(['a', 'b', 'c'])
    const before = (await session.exists(base))!
    await session.delete(`${base}/b`)
    const after = (await session.exists(base))!
    expect(after).toMatchObject({ version: 0, childCount: 2, mzxid: before.mzxid })
    expect(after.childrenVersion).toBe(before.childrenVersion + 1)
    expect(after.pzxid).toBeGreaterThan(before.pzxid)
    await session.set(`${base}/a`, bytes('x'))
    expect((await session.exists(base))!).toEqual(after)
  })

  test.each(['', 'a', '/a/', '/a//b', '/a/./b', '/a/../b', '/a\u0000b', '/a\u0007b'])(
    'the path %j is refused',
    async (path) => {
      const { session } = world()
      expect(await codeOf(session.create(path, null))).toBe('BAD_ARGUMENTS')
      expect(await codeOf(session.get(path))).toBe('BAD_ARGUMENTS')
    },
  )

  test('what a caller does to a buffer later does not reach the store', async () => {
    const { session, base } = world()
    const data = bytes('one')
    const created = session.create(`${base}/a`, data)
    data.fill(0)
    await created
    const read = await session.get(`${base}/a`)
    expect(read.data?.toString()).toBe('one')
    read.data?.fill(0)
    expect((await session.get(`${base}/a`)).data?.toString()).toBe('one')
  })
}

function sequenceTests(world: World): void {
  test('sequential names carry the number of children ever made, in ten digits', async () => {
    const { session, base } = world()
    expect(await session.create(`${base}/n_`, null, 'persistent_sequential')).toBe(`${base}/n_0000000000`)
    await session.create(`${base}/plain`, null)
    expect(await session.create(`${base}/n_`, null, 'persistent_sequential')).toBe(`${base}/n_0000000002`)
    await session.delete(`${base}/n_0000000002`)
    await session.delete(`${base}/plain`)
    expect(await session.create(`${base}/m_`, null, 'ephemeral_sequential')).toBe(`${base}/m_0000000003`)
    expect(await session.create(`${base}/`, null, 'persistent_sequential')).toBe(`${base}/0000000004`)
  })
}

function multiTests(world: World): void {
  test('a multi does all, and sees its own earlier operations', async () => {
    const { session, base } = world()
    const results = await session.multi([
      { type: 'create', path: `${base}/a`, data: null },
      { type: 'create', path: `${base}/a/s_`, data: bytes('1'), mode: 'persistent_sequential' },
      { type: 'set', path: `${base}/a`, data: bytes('2'), version: 0 },
      { type: 'check', path: `${base}/a`, version: 1 },
      { type: 'create', path: `${base}/b`, data: null },
      { type: 'delete', path: `${base}/b` },
    ])
    expect(results.map((result) => result.type)).toEqual([
      'create',
      'create',
      'set',
      'check',
      'create',
      'delete',
    ])
    expect(results[1]).toEqual({ type: 'create', path: `${base}/a/s_0000000000` })
    expect(results[2]).toMatchObject({ stat: { version: 1, dataLength: 1 } })
    expect(await session.children(base)).toEqual(['a'])
    const stat = (await session.exists(`${base}/a/s_0000000000`))!
    expect(stat.czxid).toBe((await session.exists(`${base}/a`))!.czxid)
  })

  test('a multi that fails does nothing and says which operation failed', async () => {
    const { session, base } = world()
    await session.create(`${base}/a`, bytes('one'))
    const before = await session.exists(base)
    const failed = await failure(
      session.multi([
        { type: 'set', path: `${base}/a`, data: bytes('two') },
        { type: 'create', path: `${base}/b`, data: null },
        { type: 'delete', path: `${base}/a` },
        { type: 'check', path: `${base}/b`, version: 7 },
      ]),
    )
    expect(failed).toEqual({ code: 'BAD_VERSION', operationIndex: 3 })
    expect((await session.get(`${base}/a`)).data?.toString()).toBe('one')
    expect((await session.get(`${base}/a`)).stat.version).toBe(0)
    expect(await session.children(base)).toEqual(['a'])
    expect(await session.exists(base)).toEqual(before)
  })

  test.each([
    ['check', 0],
    ['set', 0],
    ['delete', 0],
  ] as const)('version 0 in a multi is no wildcard: %s', async (type, version) => {
    const { session, base } = world()
    await session.create(`${base}/a`, null)
    await session.set(`${base}/a`, bytes('x'))
    const operation = { type, path: `${base}/a`, data: null, version }
    expect(await codeOf(session.multi([operation]))).toBe('BAD_VERSION')
  })

  test('a multi without operations succeeds', async () => {
    expect(await world().session.multi([])).toEqual([])
  })
}

function watchTests(world: World): void {
  test('exists watches for creation, then for data, then for deletion, each once', async () => {
    const { session, other, base } = world()
    const path = `${base}/a`
    const seen = recorder()
    await session.exists(path, seen.watch)
    await other.create(path, null)
    expect(await seen.next()).toEqual({ type: 'created', path })
    await other.set(path, bytes('unseen'))
    await session.exists(path, seen.watch)
    await other.set(path, bytes('seen'))
    expect(await seen.next()).toEqual({ type: 'data_changed', path })
    await session.exists(path, seen.watch)
    await other.delete(path)
    expect(await seen.next()).toEqual({ type: 'deleted', path })
    await session.exists(path)
    expect(seen.events.length).toBe(3)
  })

  test('get watches for data and deletion, not for children', async () => {
    const { session, base } = world()
    const path = `${base}/a`
    await session.create(path, null)
    const seen = recorder()
    await session.get(path, seen.watch)
    await session.create(`${path}/child`, null)
    expect(seen.events).toEqual([])
    await session.set(path, null)
    expect(seen.events).toEqual([{ type: 'data_changed', path }])
  })

  test('children watches for coming, going and the deletion of the node, not for data', async () => {
    const { session, base } = world()
    const path = `${base}/a`
    await session.create(path, null)
    const seen = recorder()
    await session.children(path, seen.watch)
    await session.set(path, bytes('x'))
    expect(seen.events).toEqual([])
    await session.create(`${path}/b`, null)
    await session.children(path, seen.watch)
    await session.set(`${path}/b`, bytes('x'))
    await session.delete(`${path}/b`)
    await session.children(path, seen.watch)
    await session.delete(path)
    expect(seen.events.map((event) => event.type)).toEqual([
      'children_changed',
      'children_changed',
      'deleted',
    ])
    expect(seen.events.every((event) => event.path === path)).toBe(true)
  })

  test('a read that fails leaves no watch', async () => {
    const { session, base } = world()
    const seen = recorder()
    expect(await codeOf(session.get(`${base}/a`, seen.watch))).toBe('NO_NODE')
    expect(await codeOf(session.children(`${base}/a`, seen.watch))).toBe('NO_NODE')
    await session.create(`${base}/a`, null)
    await session.set(`${base}/a`, null)
    await session.exists(base)
    expect(seen.events).toEqual([])
  })

  test('the same watch left twice runs once; two watches run both', async () => {
    const { session, base } = world()
    await session.create(`${base}/a`, null)
    const first = recorder()
    const second = recorder()
    await session.get(`${base}/a`, first.watch)
    await session.get(`${base}/a`, first.watch)
    await session.get(`${base}/a`, second.watch)
    await session.set(`${base}/a`, null)
    await session.set(`${base}/a`, null)
    expect([first.events.length, second.events.length]).toEqual([1, 1])
  })

  test('a multi fires the watches of all its operations, and a failed one none', async () => {
    const { session, base } = world()
    const seen = recorder()
    await session.children(base, seen.watch)
    await session.exists(`${base}/a`, seen.watch)
    const create = { type: 'create', path: `${base}/a`, data: null } as const
    await failure(session.multi([create, { type: 'check', path: `${base}/none`, version: -1 }]))
    expect(seen.events).toEqual([])
    await session.multi([create, { type: 'create', path: `${base}/b`, data: null }])
    expect(seen.events.map((event) => event.type).sort()).toEqual(['children_changed', 'created'])
  })

  test('a watch runs before a later answer, and what it tells of is visible by then', async () => {
    const { session, other, base } = world()
    const order: string[] = []
    await session.create(`${base}/a`, bytes('old'))
    let inside: Promise<{ data: Buffer | null }> | null = null
    await session.get(`${base}/a`, () => {
      order.push('watch')
      inside = session.get(`${base}/a`)
    })
    await other.set(`${base}/a`, bytes('new'))
    const seen = await session.get(`${base}/a`)
    order.push('answer')
    expect(seen.data?.toString()).toBe('new')
    expect(order).toEqual(['watch', 'answer'])
    expect((await inside!).data?.toString()).toBe('new')
  })

  test('a watch follows the answer that left it', async () => {
    const { session, base } = world()
    const order: string[] = []
    await session.create(`${base}/a`, null)
    const read = session.get(`${base}/a`, () => order.push('watch')).then(() => order.push('read'))
    const write = session.set(`${base}/a`, null).then(() => order.push('write'))
    await Promise.all([read, write])
    expect(order).toEqual(['read', 'watch', 'write'])
  })
}

function sessionTests(world: World): void {
  test('an ephemeral node belongs to its session and goes with it', async () => {
    const { session, other, base } = world()
    await other.create(`${base}/e`, bytes('x'), 'ephemeral')
    expect((await session.exists(`${base}/e`))!.ephemeralOwner).toBe(other.id)
    const seen = recorder()
    const children = recorder()
    await session.exists(`${base}/e`, seen.watch)
    await session.children(base, children.watch)
    await other.close()
    expect(await seen.next()).toEqual({ type: 'deleted', path: `${base}/e` })
    expect(await children.next()).toEqual({ type: 'children_changed', path: base })
    expect(await session.exists(`${base}/e`)).toBeNull()
  })

  test('an ephemeral node has no children', async () => {
    const { session, base } = world()
    await session.create(`${base}/e`, null, 'ephemeral')
    expect(await codeOf(session.create(`${base}/e/child`, null))).toBe('NO_CHILDREN_FOR_EPHEMERALS')
  })

  test('a closed session does its last operations, refuses others, and is not told of anything', async () => {
    const { session, other, base } = world()
    const seen = recorder()
    const states: string[] = []
    other.onState((state) => states.push(state))
    await other.exists(`${base}/a`, seen.watch)
    const last = other.create(`${base}/last`, null)
    const closed = other.close()
    expect(await codeOf(other.exists(base))).toBe('SESSION_EXPIRED')
    await Promise.all([last, closed, other.close()])
    expect(states).toEqual(['closed'])
    expect(await session.exists(`${base}/last`)).not.toBeNull()
    await session.create(`${base}/a`, null)
    await session.exists(base)
    expect(seen.events).toEqual([])
  })

  test('zxids and session ids grow', async () => {
    const { session, other, base, service } = world()
    await session.create(`${base}/a`, null)
    await other.create(`${base}/b`, null)
    const [first, second] = [(await session.exists(`${base}/a`))!, (await session.exists(`${base}/b`))!]
    expect(second.czxid).toBeGreaterThan(first.czxid)
    const third = await service.coordination.connect(SESSION)
    expect(new Set([session.id, other.id, third.id]).size).toBe(3)
    await third.close()
  })
}
