/** What a Fetch of an old version gets: records in a format that the client knows, or the error that says why not. */
import { ErrorCode } from '../protocol/error-codes.ts'
import type { OldMagic } from '../protocol/message-set/message.ts'
import { messagesOfBatches } from '../protocol/message-set/messages-of-batches.ts'
import type { Partition } from '../replication/partition.ts'
import { readError, type ReadResult } from '../replication/types.ts'
import type { Services } from './services.ts'

/** Fetch knows record batches from here on, zstd from version 10, KAFKA_STORAGE_ERROR from version 6. */
const FIRST_VERSION_OF_BATCHES = 4
const FIRST_VERSION_OF_FORMAT_1 = 2
const FIRST_VERSION_OF_ZSTD = 10
const FIRST_VERSION_OF_STORAGE_ERROR = 6

/** Fetch 0 to 2 have a hard limit: a first batch that is larger is not given (before KIP-74). */
export const givesFirstBatchWhole = (apiVersion: number): boolean => apiVersion >= 3

/** Control batches become nothing: after so many reads that gave nothing else, an empty reply is sent. */
const MAX_READS = 16

export interface ConvertedRead {
  readonly result: ReadResult
  readonly records: Buffer | readonly Buffer[] | null
}

/** Clients expect an empty set of records rather than null. */
const NO_RECORDS = Buffer.alloc(0)

const asRead = (result: ReadResult): ConvertedRead => ({ result, records: result.slice?.bytes ?? NO_RECORDS })

/** The read as `apiVersion` may see it. `readOn` reads again from another offset. The slice of what is converted is released. */
export function convertForVersion(
  services: Services,
  apiVersion: number,
  partition: Partition | undefined,
  read: { result: ReadResult; fetchOffset: number; readOn: (offset: number) => ReadResult },
): ConvertedRead {
  const result = inItsWords(read.result, apiVersion)
  if (partition === undefined || apiVersion >= FIRST_VERSION_OF_ZSTD) return asRead(result)
  const { config } = partition.log
  if (config.compressionType === 'zstd') {
    return refused(services, partition, result, ErrorCode.UNSUPPORTED_COMPRESSION_TYPE)
  }
  if (apiVersion >= FIRST_VERSION_OF_BATCHES) return asRead(result)
  if (!config.downconversionEnabled)
    return refused(services, partition, result, ErrorCode.UNSUPPORTED_VERSION)
  return converted(services, partition, {
    ...read,
    result,
    magic: apiVersion < FIRST_VERSION_OF_FORMAT_1 ? 0 : 1,
  })
}

function converted(
  services: Services,
  partition: Partition,
  read: {
    result: ReadResult
    fetchOffset: number
    magic: OldMagic
    readOn: (offset: number) => ReadResult
  },
): ConvertedRead {
  let { slice } = read.result
  let offset = read.fetchOffset
  const result = { ...read.result, slice: null }
  for (let reads = 1; slice !== null && slice.bytes.length > 0; reads++) {
    const { bytes } = slice
    const wanted = { magic: read.magic, fetchOffset: offset, maxBytes: bytes.length }
    const { error, messages, recordCount, nextOffset } = messagesOfBatches(bytes, wanted)
    slice.release()
    if (error === 'CORRUPT_MESSAGE') {
      const at = { topic: partition.topic, partition: partition.index, offset: nextOffset }
      services.env.logger.log('error', 'a batch that is asked for in an older format is corrupt', at)
    }
    if (error !== null) return refused(services, partition, result, ErrorCode[error])
    services.conversions.add(partition.topic, 'fetchMessageConversions', recordCount)
    if (messages.length > 0) return { result, records: messages }
    if (reads === MAX_READS || nextOffset <= offset) break
    offset = nextOffset
    const next = read.readOn(offset)
    if (next.error !== ErrorCode.NONE) break
    slice = next.slice
  }
  return asRead(result)
}

/** Whatever the read gave, an error too. */
function refused(services: Services, partition: Partition, result: ReadResult, error: number): ConvertedRead {
  result.slice?.release()
  services.conversions.add(partition.topic, 'failedFetchMessageConversions', 1)
  return { result: { ...readError(error), abortedTransactions: [] }, records: null }
}

/** A client that does not know KAFKA_STORAGE_ERROR is told to look for another leader. */
function inItsWords(result: ReadResult, apiVersion: number): ReadResult {
  const isUnknown =
    result.error === ErrorCode.KAFKA_STORAGE_ERROR && apiVersion < FIRST_VERSION_OF_STORAGE_ERROR
  return isUnknown ? { ...result, error: ErrorCode.NOT_LEADER_OR_FOLLOWER } : result
}
