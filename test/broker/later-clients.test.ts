/** What clients of tomorrow may send: tagged fields that nobody here knows are skipped, wherever they stand (KIP-482). */
import { expect, test } from 'vitest'
import { SimDisk } from '../../src/env/sim/disk.ts'
import { SeededRandom } from '../../src/env/sim/random.ts'
import { ErrorCode } from '../../src/protocol/error-codes.ts'
import { decodeResponse } from '../../src/protocol/frame.ts'
import { metadataApi } from '../../src/protocol/messages/03-metadata.ts'
import { apiVersionsApi } from '../../src/protocol/messages/18-api-versions.ts'
import { startProcess } from './broker-process.ts'

/** Metadata 12 for topic `x`, which may be made; tags in header, topic and body. */
const METADATA = [
  '0003 000c 00000007 ffff 01 05 03 aabbcc',
  '02 00000000000000000000000000000000 02 78 01 07 01 ff',
  '01 00 02 01 00 64 02 dead',
]
/** ApiVersions 3 of client `a`, version `b`; tags in header and body. */
const API_VERSIONS = ['0012 0003 00000008 ffff 01 00 00', '02 61 02 62 02 00 01 01 2a 04 01020304']

function framed(parts: readonly string[]): Buffer {
  const body = Buffer.from(parts.join('').replaceAll(' ', ''), 'hex')
  const length = Buffer.alloc(4)
  length.writeInt32BE(body.length)
  return Buffer.concat([length, body])
}

test('tagged fields that are not known are skipped, and the request is served', async () => {
  const process = await startProcess(new SimDisk({ random: new SeededRandom(1) }))
  try {
    const client = await process.connect()
    const metadata = decodeResponse(metadataApi, 12, await client.frame(framed(METADATA)))
    expect(metadata.topics).toMatchObject([{ name: 'x', errorCode: ErrorCode.NONE }])
    const versions = decodeResponse(apiVersionsApi, 3, await client.frame(framed(API_VERSIONS)))
    expect(versions.errorCode).toBe(ErrorCode.NONE)
    expect(process.bugs).toEqual([])
  } finally {
    await process.stop()
  }
})
