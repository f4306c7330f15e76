// Evaluates requests with policies, as AWS does. Reads {documents, requests} from standard input, where requests have the
// numbers of documents; writes a result for each request.
import { readFileSync } from 'node:fs'
import { runSimulation } from '@cloud-copilot/iam-simulate'

const { account, documents, requests } = JSON.parse(readFileSync(0, 'utf8'))
const named = (number) => ({ name: `policy-${number}`, policy: documents[number] })

const results = []
for (const { principal, action, resource, context, identity, resourcePolicy, boundary } of requests) {
  const asked = JSON.stringify({ principal, action, resource, context })
  const answer = await runSimulation(
    {
      request: { principal, action, resource: { resource, accountId: account }, contextVariables: context },
      identityPolicies: identity.map(named),
      resourcePolicy: resourcePolicy === null ? undefined : documents[resourcePolicy],
      permissionBoundaryPolicies: boundary === null ? undefined : [named(boundary)],
      serviceControlPolicies: [],
      resourceControlPolicies: []
    },
    {}
  )
  // The action, its resource or a policy is invalid.
  if (answer.resultType !== 'single') throw new Error(`${asked}: ${JSON.stringify(answer.errors ?? answer.resultType)}`)
  // A condition key that this action does not have.
  const ignored = answer.result.ignoredContextKeys ?? []
  if (ignored.length > 0) throw new Error(`${asked}: no such keys: ${ignored}`)
  results.push(answer.overallResult)
}
process.stdout.write(JSON.stringify(results))
