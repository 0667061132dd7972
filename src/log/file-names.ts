/** Names of directories and files under a `log.dirs` entry, as Kafka gives them. */

export const CLEAN_SHUTDOWN_FILE = '.kafka_cleanshutdown'
export const LOCK_FILE = '.lock'
export const META_PROPERTIES_FILE = 'meta.properties'
export const RECOVERY_POINT_FILE = 'recovery-point-offset-checkpoint'
export const LOG_START_FILE = 'log-start-offset-checkpoint'
export const HIGH_WATERMARK_FILE = 'replication-offset-checkpoint'
export const PARTITION_METADATA_FILE = 'partition.metadata'
export const CLEANER_OFFSET_FILE = 'cleaner-offset-checkpoint'
export const LEADER_EPOCH_FILE = 'leader-epoch-checkpoint'

export const LOG_SUFFIX = '.log'
export const OFFSET_INDEX_SUFFIX = '.index'
export const TIME_INDEX_SUFFIX = '.timeindex'
export const TRANSACTION_INDEX_SUFFIX = '.txnindex'
/** Of the files of one segment, the records first. */
export const SEGMENT_SUFFIXES = [
  LOG_SUFFIX,
  OFFSET_INDEX_SUFFIX,
  TIME_INDEX_SUFFIX,
  TRANSACTION_INDEX_SUFFIX,
] as const
export const SNAPSHOT_SUFFIX = '.snapshot'
export const DELETED_SUFFIX = '.deleted'
export const CLEANED_SUFFIX = '.cleaned'
export const SWAP_SUFFIX = '.swap'
/** What `Disk.replaceFile` writes before it renames. */
export const TEMPORARY_SUFFIX = '.tmp'

const MAX_NAME_LENGTH = 255

export function join(directory: string, name: string): string {
  return directory.endsWith('/') ? directory + name : `${directory}/${name}`
}

/** `00000000000000000042.log` */
export function offsetFileName(offset: number, suffix: string): string {
  return String(offset).padStart(20, '0') + suffix
}

/** The offset at the head of a file name; -1 when there is none. */
export function offsetOfFileName(name: string): number {
  const match = /^(\d{20})\./.exec(name)
  return match ? Number(match[1]) : -1
}

export interface PartitionName {
  readonly topic: string
  readonly partition: number
  /** `-delete`, `-stray`, `-future` directories. */
  readonly kind: 'live' | 'delete' | 'stray' | 'future'
}

/** null when a directory's name is not a partition's. */
export function parsePartitionDirectory(name: string): PartitionName | null {
  const marked = /^(.+)-(\d+)\.[0-9a-f]{32}-(delete|stray|future)$/.exec(name)
  if (marked) {
    return { topic: marked[1], partition: Number(marked[2]), kind: marked[3] as PartitionName['kind'] }
  }
  const live = /^([a-zA-Z0-9._-]+)-(\d+)$/.exec(name)
  return live ? { topic: live[1], partition: Number(live[2]), kind: 'live' } : null
}

/** Whether the directory of a partition under way to another place can have its name without being cut. */
export function canBeFuture(topic: string, partition: number): boolean {
  return `${topic}-${partition}.${'0'.repeat(32)}-future`.length <= MAX_NAME_LENGTH
}

/** `topic-0.<32 hex>-delete` (or `-stray`, `-future`), the topic cut so that the whole fits a file name. */
export function asideDirectoryName(
  topic: string,
  partition: number,
  mark: Exclude<PartitionName['kind'], 'live'>,
  unique: string,
): string {
  const tail = `-${partition}.${unique}-${mark}`
  return topic.slice(0, MAX_NAME_LENGTH - tail.length) + tail
}
