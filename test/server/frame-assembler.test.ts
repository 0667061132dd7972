import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { FrameAssembler, FrameBufferPool } from '../../src/server/frame-assembler.ts'

const framed = (body: Uint8Array): Buffer => {
  const frame = Buffer.alloc(4 + body.length)
  frame.writeInt32BE(body.length, 0)
  frame.set(body, 4)
  return frame
}

function collecting(maxBytes = 1 << 20, goOn: () => boolean = () => true) {
  const frames: Buffer[] = []
  const faults: { length: number; reason: string }[] = []
  const pool = new FrameBufferPool()
  const assembler = new FrameAssembler(maxBytes, pool, {
    frame: (frame) => {
      frames.push(Buffer.from(frame))
      return goOn()
    },
    fault: (fault) => faults.push(fault),
  })
  return { assembler, frames, faults }
}

describe('FrameAssembler', () => {
  test('gives the same frames however the bytes are cut', () => {
    const bodies = fc.array(fc.uint8Array({ minLength: 1, maxLength: 300 }), { minLength: 1, maxLength: 20 })
    const cuts = fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1, maxLength: 30 })
    fc.assert(
      fc.property(bodies, cuts, (sent, sizes) => {
        const { assembler, frames } = collecting()
        let rest = Buffer.concat(sent.map(framed))
        for (let i = 0; rest.length > 0; i++) {
          const size = sizes[i % sizes.length]
          assembler.feed(rest.subarray(0, size))
          rest = rest.subarray(size)
        }
        expect(frames).toEqual(sent.map((body) => Buffer.from(body)))
      }),
    )
  })

  test('a frame of several megabytes in small pieces arrives whole', () => {
    const body = Buffer.alloc(5 << 20, 0).map((_, i) => i % 251)
    const { assembler, frames } = collecting(8 << 20)
    const bytes = framed(body)
    for (let at = 0; at < bytes.length; at += 60_000) assembler.feed(bytes.subarray(at, at + 60_000))
    expect(frames.length).toBe(1)
    expect(frames[0].equals(body)).toBe(true)
  })

  test('memory follows what arrived, not the length that was claimed', () => {
    const asked: number[] = []
    class Watched extends FrameBufferPool {
      override take(size: number): Buffer {
        asked.push(size)
        return super.take(size)
      }
    }
    const assembler = new FrameAssembler(100 << 20, new Watched(), {
      frame: () => true,
      fault: () => undefined,
    })
    const claim = Buffer.alloc(4 + 10)
    claim.writeInt32BE(100 << 20, 0)
    assembler.feed(claim)
    expect(Math.max(...asked)).toBeLessThanOrEqual(64 << 10)
    assembler.feed(Buffer.alloc(100_000))
    expect(Math.max(...asked)).toBeLessThanOrEqual(16 * 100_010)
  })

  test.each([
    [Buffer.from([0x7f, 0xff, 0xff, 0xff]), /larger than socket.request.max.bytes=1048576/],
    [Buffer.from([0xff, 0xff, 0xff, 0xff]), /zero or negative/],
    [Buffer.from([0, 0, 0, 0]), /zero or negative/],
    [Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01]), /TLS/],
    [Buffer.from('GET / HTTP/1.1\r\n'), /HTTP/],
    [Buffer.from('POST / HTTP/1.1\r\n'), /HTTP/],
  ])('%o is refused with a reason and nothing more is read', (bytes, reason) => {
    const { assembler, frames, faults } = collecting()
    assembler.feed(bytes)
    assembler.feed(framed(Buffer.from('later')))
    expect(faults.length).toBe(1)
    expect(faults[0].reason).toMatch(reason)
    expect(frames).toEqual([])
  })

  test('what comes after a sink that asked to wait is held back until it resumes', () => {
    let open = false
    const { assembler, frames } = collecting(1 << 20, () => open)
    const all = Buffer.concat(['one', 'two', 'three'].map((text) => framed(Buffer.from(text))))
    assembler.feed(all)
    expect(frames.map(String)).toEqual(['one'])
    assembler.feed(framed(Buffer.from('four')))
    expect(assembler.resume()).toBe(false)
    expect(frames.map(String)).toEqual(['one', 'two'])
    open = true
    expect(assembler.resume()).toBe(true)
    expect(frames.map(String)).toEqual(['one', 'two', 'three', 'four'])
  })
})
