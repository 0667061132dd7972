/**
 * The two files of the embedded store, little-endian:
 *
 *   journal  := "ODRJ" version:u32 record*
 *   record   := length:u32 crc32c(payload):u32 payload          length is the payload's
 *   payload  := zxid:f64 timeMs:f64 count:u32 change*
 *   change   := type:u8 body                                    1 create, 2 set, 3 delete, 4 close
 *   create   := owner:f64 path data      set := path data      delete := path      close := session:f64
 *   path     := bytes:u16 utf8           data := bytes:i32 (-1: null) raw
 *
 *   snapshot := "ODRS" version:u32 crc32c(body):u32 body
 *   body     := zxid:f64 node                                   the root, then depth first
 *   node     := name:path data owner:f64 czxid:f64 mzxid:f64 pzxid:f64 ctimeMs:f64 mtimeMs:f64
 *               version:u32 creations:u32 childCount:u32 node*
 *
 * A record is one transaction, so a torn tail loses whole transactions. The format's version is raised by what an older
 * reader could not read.
 */
import { crc32c } from '../protocol/crc32c.ts'
import { Znode } from './znode-tree.ts'
import type { Change, Transaction, ZnodeTree } from './znode-tree.ts'

export const JOURNAL_HEADER = Buffer.from('ODRJ\x01\0\0\0', 'latin1')
const SNAPSHOT_HEADER = Buffer.from('ODRS\x01\0\0\0', 'latin1')
const RECORD_HEADER_BYTES = 8
const MIN_PAYLOAD_BYTES = 20

const CREATE = 1
const SET = 2
const DELETE = 3
const CLOSE = 4

/** Grows as it is written to. */
class ByteWriter {
  #bytes = Buffer.allocUnsafe(512)
  #view = new DataView(this.#bytes.buffer, this.#bytes.byteOffset, this.#bytes.byteLength)
  length = 0

  u8(value: number): void {
    const at = this.#take(1)
    this.#view.setUint8(at, value)
  }
  u16(value: number): void {
    const at = this.#take(2)
    this.#view.setUint16(at, value, true)
  }
  u32(value: number): void {
    const at = this.#take(4)
    this.#view.setUint32(at, value, true)
  }
  f64(value: number): void {
    const at = this.#take(8)
    this.#view.setFloat64(at, value, true)
  }
  text(value: string): void {
    const length = Buffer.byteLength(value)
    this.u16(length)
    const at = this.#take(length)
    this.#bytes.write(value, at, 'utf8')
  }
  data(value: Buffer | null): void {
    this.u32(value === null ? 0xffffffff : value.length)
    if (value !== null) this.raw(value)
  }
  raw(value: Uint8Array): void {
    const at = this.#take(value.length)
    this.#bytes.set(value, at)
  }
  setU32(at: number, value: number): void {
    this.#view.setUint32(at, value, true)
  }
  bytes(): Buffer {
    return this.#bytes.subarray(0, this.length)
  }

  #take(size: number): number {
    const at = this.length
    this.length += size
    if (this.length > this.#bytes.length) {
      const grown = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.length))
      this.#bytes.copy(grown, 0, 0, at)
      this.#bytes = grown
      this.#view = new DataView(grown.buffer, grown.byteOffset, grown.byteLength)
    }
    return at
  }
}

/** Reads what a checksum has vouched for; running past the end throws RangeError. */
class ByteReader {
  readonly #bytes: Buffer
  readonly #view: DataView
  position: number

  constructor(bytes: Buffer, position: number) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.position = position
  }

  u8(): number {
    return this.#view.getUint8(this.position++)
  }
  u16(): number {
    this.position += 2
    return this.#view.getUint16(this.position - 2, true)
  }
  u32(): number {
    this.position += 4
    return this.#view.getUint32(this.position - 4, true)
  }
  f64(): number {
    this.position += 8
    return this.#view.getFloat64(this.position - 8, true)
  }
  text(): string {
    const end = this.#advance(this.u16())
    return this.#bytes.toString('utf8', this.position, (this.position = end))
  }
  /** A copy would cost more than the file's memory: the tree keeps slices. */
  data(): Buffer | null {
    const length = this.u32()
    if (length === 0xffffffff) return null
    const end = this.#advance(length)
    return this.#bytes.subarray(this.position, (this.position = end))
  }

  #advance(length: number): number {
    const end = this.position + length
    if (end > this.#bytes.length) throw new RangeError('past the end')
    return end
  }
}

export function encodeTransaction(transaction: Transaction): Buffer {
  const writer = new ByteWriter()
  writer.u32(0)
  writer.u32(0)
  writer.f64(transaction.zxid)
  writer.f64(transaction.timeMs)
  writer.u32(transaction.changes.length)
  for (const change of transaction.changes) encodeChange(writer, change)
  writer.setU32(0, writer.length - RECORD_HEADER_BYTES)
  writer.setU32(4, crc32c(writer.bytes(), RECORD_HEADER_BYTES))
  return writer.bytes()
}

function encodeChange(writer: ByteWriter, change: Change): void {
  if (change.type === 'create') {
    writer.u8(CREATE)
    writer.f64(change.owner)
    writer.text(change.path)
    writer.data(change.data)
  } else if (change.type === 'set') {
    writer.u8(SET)
    writer.text(change.path)
    writer.data(change.data)
  } else if (change.type === 'delete') {
    writer.u8(DELETE)
    writer.text(change.path)
  } else {
    writer.u8(CLOSE)
    writer.f64(change.session)
  }
}

export interface JournalRecord {
  readonly zxid: number
  readonly timeMs: number
  readonly changes: Change[]
  /** Position after the record. */
  readonly end: number
}

/** The intact record at `position`, else null: the end, or a torn tail. */
export function decodeRecord(journal: Buffer, position: number): JournalRecord | null {
  if (position + RECORD_HEADER_BYTES + MIN_PAYLOAD_BYTES > journal.length) return null
  const length = journal.readUInt32LE(position)
  const start = position + RECORD_HEADER_BYTES
  const end = start + length
  if (length < MIN_PAYLOAD_BYTES || end > journal.length) return null
  if (crc32c(journal, start, end) !== journal.readUInt32LE(position + 4)) return null
  const reader = new ByteReader(journal, start)
  const zxid = reader.f64()
  const timeMs = reader.f64()
  const changes = Array.from({ length: reader.u32() }, () => decodeChange(reader))
  return { zxid, timeMs, changes, end }
}

function decodeChange(reader: ByteReader): Change {
  const type = reader.u8()
  if (type === CREATE) {
    const owner = reader.f64()
    return { type: 'create', owner, path: reader.text(), data: reader.data() }
  }
  if (type === SET) return { type: 'set', path: reader.text(), data: reader.data() }
  if (type === DELETE) return { type: 'delete', path: reader.text() }
  if (type === CLOSE) return { type: 'close', session: reader.f64() }
  throw new RangeError(`unknown change ${type}`)
}

export function encodeSnapshot(tree: ZnodeTree, zxid: number): Buffer {
  const writer = new ByteWriter()
  writer.raw(SNAPSHOT_HEADER)
  writer.u32(0)
  writer.f64(zxid)
  encodeNode(writer, '', tree.root)
  const bodyStart = SNAPSHOT_HEADER.length + 4
  writer.setU32(SNAPSHOT_HEADER.length, crc32c(writer.bytes(), bodyStart))
  return writer.bytes()
}

function encodeNode(writer: ByteWriter, name: string, node: Znode): void {
  writer.text(name)
  writer.data(node.data)
  for (const value of [node.owner, node.czxid, node.mzxid, node.pzxid, node.ctimeMs, node.mtimeMs])
    writer.f64(value)
  writer.u32(node.version)
  writer.u32(node.creations)
  writer.u32(node.children === null ? 0 : node.children.size)
  if (node.children !== null) for (const [child, below] of node.children) encodeNode(writer, child, below)
}

/** Fills an empty tree; returns the zxid it stands at. Throws RangeError for bytes that are not an intact snapshot. */
export function decodeSnapshot(bytes: Buffer, tree: ZnodeTree): number {
  const bodyStart = SNAPSHOT_HEADER.length + 4
  if (bytes.length < bodyStart + 8 || !bytes.subarray(0, SNAPSHOT_HEADER.length).equals(SNAPSHOT_HEADER))
    throw new RangeError('not a snapshot')
  if (crc32c(bytes, bodyStart) !== bytes.readUInt32LE(SNAPSHOT_HEADER.length))
    throw new RangeError('its checksum is wrong')
  const reader = new ByteReader(bytes, bodyStart)
  const zxid = reader.f64()
  reader.text()
  const childCount = decodeNode(reader, tree.root)
  decodeChildren(reader, tree, { node: tree.root, path: '', childCount })
  return zxid
}

function decodeChildren(
  reader: ByteReader,
  tree: ZnodeTree,
  parent: { node: Znode; path: string; childCount: number },
): void {
  for (let i = 0; i < parent.childCount; i++) {
    const name = reader.text()
    const node = new Znode(null, 0, 0, 0)
    const childCount = decodeNode(reader, node)
    const path = `${parent.path}/${name}`
    tree.restore(parent.node, name, node, path)
    decodeChildren(reader, tree, { node, path, childCount })
  }
}

/** Returns the number of children that follow. */
function decodeNode(reader: ByteReader, node: Znode): number {
  node.data = reader.data()
  node.owner = reader.f64()
  node.czxid = reader.f64()
  node.mzxid = reader.f64()
  node.pzxid = reader.f64()
  node.ctimeMs = reader.f64()
  node.mtimeMs = reader.f64()
  node.version = reader.u32()
  node.creations = reader.u32()
  return reader.u32()
}
