import { apiVersionsApi } from '../../../../src/protocol/messages/18-api-versions.ts'
import { everyVersion, rawStep, step } from '../scenario.ts'
import type { Scenario } from '../scenario.ts'

const badNames = ['', ' ', 'two words', '-dash', 'dash-', 'slash/', 'ünï', '.dot', 'dot.']

/** A frame with request header v2 and no body. */
function bareRequest(apiKey: number, apiVersion: number): Buffer {
  const frame = Buffer.alloc(4 + 11)
  frame.writeInt32BE(11, 0)
  frame.writeInt16BE(apiKey, 4)
  frame.writeInt16BE(apiVersion, 6)
  frame.writeInt32BE(7, 8)
  frame.writeInt16BE(-1, 12)
  return frame
}

const readAs = { api: apiVersionsApi, version: 0 }

export const apiVersionsScenarios: Scenario[] = [
  {
    name: 'ApiVersions: what is served',
    steps: everyVersion(apiVersionsApi, (version) =>
      step('valid', apiVersionsApi, version, { clientSoftwareName: 'beside', clientSoftwareVersion: '1.0' }),
    ),
  },
  {
    name: 'ApiVersions: client software that has no proper name',
    steps: everyVersion(
      apiVersionsApi,
      (version) =>
        badNames.flatMap((bad) => [
          step(`name '${bad}'`, apiVersionsApi, version, {
            clientSoftwareName: bad,
            clientSoftwareVersion: '1',
          }),
          step(`version '${bad}'`, apiVersionsApi, version, {
            clientSoftwareName: 'b',
            clientSoftwareVersion: bad,
          }),
        ]),
      3,
    ),
  },
  {
    name: 'Unknown versions and keys',
    steps: [
      rawStep('ApiVersions 99', bareRequest(18, 99), readAs),
      rawStep('ApiVersions -1', bareRequest(18, -1), readAs),
      step('still there', apiVersionsApi, 0, {}),
      rawStep('Metadata 99', bareRequest(3, 99), readAs, 'a'),
      rawStep('Metadata -1', bareRequest(3, -1), readAs, 'b'),
      rawStep('key 999', bareRequest(999, 0), readAs, 'c'),
      rawStep('key -1', bareRequest(-1, 0), readAs, 'd'),
      rawStep('a request of KRaft alone', bareRequest(52, 0), readAs, 'e'),
      rawStep('truncated body', bareRequest(3, 1), readAs, 'f'),
    ],
  },
]
