/** One line of text for what was found, with the words of kafka-dump-log. */
import { plainJson, shortened, textOf, withoutControls } from './as-json.ts'
import type { Dumped, DumpedBatch, DumpedProducer, DumpedRecord } from './dumped.ts'

/** `showMetadata`: records come with more than keys, values and headers. */
export function asText(file: string, dumped: Dumped, showMetadata: boolean): string {
  switch (dumped.type) {
    case 'file':
      return `Dumping ${file} (${dumped.kind}, ${dumped.sizeBytes} bytes)`
    case 'batch':
      return batchLine(dumped)
    case 'record':
      return recordLine(dumped, showMetadata)
    case 'segmentEnd': {
      const { batches, records, firstOffset, lastOffset, validBytes, gaps } = dumped
      const offsets = batches === 0 ? 'no offsets' : `offsets ${firstOffset} to ${lastOffset}`
      return `${batches} batches, ${records} records, ${offsets}, ${gaps} gaps, ${validBytes} bytes`
    }
    case 'offsetIndexEntry':
      return `offset: ${dumped.offset} position: ${dumped.position}`
    case 'timeIndexEntry':
      return `timestamp: ${time(dumped.timestampMs)} offset: ${dumped.offset}`
    case 'abortedTransaction':
      return (
        `producerId: ${dumped.producerId} firstOffset: ${dumped.firstOffset} ` +
        `lastOffset: ${dumped.lastOffset} lastStableOffset: ${dumped.lastStableOffset}`
      )
    case 'indexEnd': {
      const fill = dumped.zeroFillBytes === 0 ? '' : `, then ${dumped.zeroFillBytes} bytes allocated ahead`
      return `${dumped.entries} entries${fill}`
    }
    case 'producer':
      return producerLine(dumped)
    case 'leaderEpoch':
      return `epoch: ${dumped.epoch} startOffset: ${dumped.startOffset}`
    case 'checkpoint':
      return `${quoted(dumped.topic)} ${dumped.partition}: ${dumped.offset}`
    case 'property':
      return `${quoted(dumped.name)}: ${quoted(dumped.value)}`
    case 'note':
      return `note: ${dumped.message}`
    case 'problem':
      return `${file}: ${dumped.message}`
  }
}

function batchLine(batch: DumpedBatch): string {
  const { baseOffset, lastOffset, magic } = batch
  const words = [
    magic === 2
      ? `baseOffset: ${baseOffset} lastOffset: ${lastOffset} count: ${batch.count}`
      : `offset: ${lastOffset}`,
    `position: ${batch.position} size: ${batch.sizeBytes} magic: ${magic} compresscodec: ${batch.compression}`,
    `crc: ${batch.crc} isvalid: ${batch.isValid ?? 'unknown'}`,
  ]
  if (batch.timestampType !== null) words.push(`${batch.timestampType}: ${time(batch.maxTimestampMs)}`)
  if (batch.partitionLeaderEpoch !== undefined)
    words.push(`partitionLeaderEpoch: ${batch.partitionLeaderEpoch}`)
  if ((batch.producerId ?? -1) !== -1) {
    words.push(`producerId: ${batch.producerId} producerEpoch: ${batch.producerEpoch}`)
    words.push(`baseSequence: ${batch.baseSequence} lastSequence: ${batch.lastSequence}`)
  }
  if (batch.isTransactional) words.push('isTransactional: true')
  if (batch.isControl) words.push('isControl: true')
  const { deleteHorizonMs } = batch
  if (deleteHorizonMs !== null && deleteHorizonMs !== undefined)
    words.push(`deleteHorizonMs: ${time(deleteHorizonMs)}`)
  return words.join(' ')
}

function recordLine(record: DumpedRecord, showMetadata: boolean): string {
  const words: string[] = []
  if (showMetadata) {
    words.push(`offset: ${record.offset}`)
    if (record.timestampType !== null) words.push(`${record.timestampType}: ${time(record.timestampMs)}`)
    words.push(`keySize: ${record.keySize} valueSize: ${record.valueSize}`)
    if ((record.sequence ?? -1) !== -1) words.push(`sequence: ${record.sequence}`)
    const { headers, headerKeys = [] } = record
    if (headers === undefined && headerKeys.length > 0)
      words.push(`headerKeys: [${headerKeys.map(quoted).join(', ')}]`)
  }
  const { control, decoded, key, value, headers = [] } = record
  if (control) {
    words.push(`endTxnMarker: ${control.controlType}`)
    if (control.coordinatorEpoch !== undefined) words.push(`coordinatorEpoch: ${control.coordinatorEpoch}`)
  }
  if (decoded)
    words.push(
      `key: ${plainJson(decoded.key)} value: ${decoded.value === null ? '<DELETE>' : plainJson(decoded.value)}`,
    )
  if (key !== undefined) words.push(`key: ${bytesText(key)} value: ${bytesText(value ?? null)}`)
  if (headers.length > 0) {
    words.push(
      `headers: {${headers.map((header) => `${quoted(header.key)}: ${bytesText(header.value)}`).join(', ')}}`,
    )
  }
  return `| ${words.join(' ')}`
}

function producerLine(producer: DumpedProducer): string {
  const { producerId, producerEpoch, coordinatorEpoch, currentTxnFirstOffset, lastTimestampMs } = producer
  const own =
    `producerId: ${producerId} producerEpoch: ${producerEpoch} coordinatorEpoch: ${coordinatorEpoch} ` +
    `currentTxnFirstOffset: ${currentTxnFirstOffset} lastTimestamp: ${time(lastTimestampMs)}`
  if (producer.lastOffset === undefined) return own
  const { firstSequence, lastSequence, lastOffset, offsetDelta } = producer
  return `${own} firstSequence: ${firstSequence} lastSequence: ${lastSequence} lastOffset: ${lastOffset} offsetDelta: ${offsetDelta}`
}

/** The largest that a Date can be. */
const MAX_DATE_MS = 8.64e15

/** As stored, and as people read it. */
function time(timestampMs: number): string {
  if (timestampMs < 0 || timestampMs > MAX_DATE_MS) return String(timestampMs)
  return `${timestampMs} (${new Date(timestampMs).toISOString()})`
}

function bytesText(bytes: Buffer | null): string {
  if (bytes === null) return 'null'
  const text = textOf(bytes)
  return text === null ? `0x${bytes.toString('hex')}` : JSON.stringify(text)
}

const quoted = (text: string): string => withoutControls(JSON.stringify(shortened(text)))
