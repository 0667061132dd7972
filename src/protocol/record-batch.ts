/** Record batches of magic 2: header fields in place, checks, decoding, building. The format is in record-batch-header.ts. */
export * from './record-batch-header.ts'
export * from './record-batch-check.ts'
export * from './record-batch-decode.ts'
export * from './record-batch-build.ts'
export * from './record-batch-recompress.ts'
export * from './record-batch-retain.ts'
export { MalformedRecordError, RecordCursor } from './record-walk.ts'
export { Codec, CompressionError, codecNames } from './compression.ts'
