/** From the paths of the command line to the files of logs, in the order in which they are read. */
import { basename, dirname, resolve } from 'node:path'
import type { Disk } from '../../env/disk.ts'
import {
  CLEANED_SUFFIX,
  DELETED_SUFFIX,
  join,
  LEADER_EPOCH_FILE,
  LOG_SUFFIX,
  META_PROPERTIES_FILE,
  OFFSET_INDEX_SUFFIX,
  offsetOfFileName,
  parsePartitionDirectory,
  PARTITION_METADATA_FILE,
  SNAPSHOT_SUFFIX,
  SWAP_SUFFIX,
  TIME_INDEX_SUFFIX,
  TRANSACTION_INDEX_SUFFIX,
} from '../../log/file-names.ts'
import type { PartitionName } from '../../log/file-names.ts'

export type FileKind =
  | 'log'
  | 'index'
  | 'timeindex'
  | 'txnindex'
  | 'snapshot'
  | 'leader-epoch-checkpoint'
  | 'offset-checkpoint'
  | 'partition.metadata'
  | 'meta.properties'

export interface FoundFile {
  readonly path: string
  readonly kind: FileKind
  /** At the head of the file's name; -1 when there is none. */
  readonly offset: number
  /** Of the partition directory that it lies in; null elsewhere. */
  readonly topic: string | null
  /** Found in a directory, so that it may be gone meanwhile. */
  readonly isListed: boolean
}

/** In this order where they are of one offset. */
const KIND_BY_SUFFIX: readonly (readonly [string, FileKind])[] = [
  [LOG_SUFFIX, 'log'],
  [OFFSET_INDEX_SUFFIX, 'index'],
  [TIME_INDEX_SUFFIX, 'timeindex'],
  [TRANSACTION_INDEX_SUFFIX, 'txnindex'],
  [SNAPSHOT_SUFFIX, 'snapshot'],
]
const KINDS = KIND_BY_SUFFIX.map(([, kind]) => kind)
const UNFINISHED = [CLEANED_SUFFIX, SWAP_SUFFIX, DELETED_SUFFIX]

/** null for names that are no file of a log. */
export function kindOf(name: string): FileKind | null {
  if (name === LEADER_EPOCH_FILE) return 'leader-epoch-checkpoint'
  if (name === PARTITION_METADATA_FILE) return 'partition.metadata'
  if (name === META_PROPERTIES_FILE) return 'meta.properties'
  if (name.endsWith('-checkpoint')) return 'offset-checkpoint'
  const plain = withoutMark(name)
  return KIND_BY_SUFFIX.find(([suffix]) => plain.endsWith(suffix))?.[1] ?? null
}

/** What cleaning and deletion put behind a name. */
function withoutMark(name: string): string {
  const mark = UNFINISHED.find((suffix) => name.endsWith(suffix))
  return mark === undefined ? name : name.slice(0, -mark.length)
}

/** The file of the same offset, and of the same mark, with another suffix: an index's segment. */
export function siblingOf(path: string, suffix: string): string {
  const name = basename(path)
  const plain = withoutMark(name)
  const sibling = plain.slice(0, plain.lastIndexOf('.')) + suffix + name.slice(plain.length)
  return join(dirname(path), sibling)
}

/** A path that is not there, or is no file of a log, is in `others`. Throws DiskError. */
export function findFiles(disk: Disk, paths: readonly string[]): { files: FoundFile[]; others: string[] } {
  const files: FoundFile[] = []
  const others: string[] = []
  for (const path of paths) {
    const stat = disk.stat(path)
    if (stat?.isDirectory) {
      const found = listDirectory(disk, path)
      if (found.length === 0) others.push(path)
      files.push(...found)
    } else {
      const file = stat === null ? null : fileAt(path, false)
      if (file === null) others.push(path)
      else files.push(file)
    }
  }
  return { files, others }
}

/** The directory's own files, then those of the partition directories in it. */
function listDirectory(disk: Disk, path: string): FoundFile[] {
  const partitions = disk
    .list(path)
    .map((name) => ({ name, partition: parsePartitionDirectory(name) }))
    .filter(({ name, partition }) => partition !== null && disk.stat(join(path, name))?.isDirectory)
    .sort((one, other) => byPartition(one.partition!, other.partition!))
  return [...filesIn(disk, path), ...partitions.flatMap(({ name }) => filesIn(disk, join(path, name)))]
}

function byPartition(one: PartitionName, other: PartitionName): number {
  if (one.topic !== other.topic) return one.topic < other.topic ? -1 : 1
  return one.partition - other.partition
}

/** The files without an offset first, then offset by offset. */
function filesIn(disk: Disk, directory: string): FoundFile[] {
  return disk
    .list(directory)
    .map((name) => fileAt(join(directory, name), true))
    .filter((file) => file !== null)
    .sort((one, other) => one.offset - other.offset || KINDS.indexOf(one.kind) - KINDS.indexOf(other.kind))
}

function fileAt(path: string, isListed: boolean): FoundFile | null {
  const name = basename(path)
  const kind = kindOf(name)
  if (kind === null) return null
  const directory = parsePartitionDirectory(basename(dirname(resolve(path))))
  return { path, kind, offset: offsetOfFileName(name), topic: directory?.topic ?? null, isListed }
}
