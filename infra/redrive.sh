#!/bin/sh
# Sends everything in a stack's dead-letter queues back to where it came from, for another five attempts each. For when
# what made it fail is mended: what fails again comes back. Needs the aws command line, as whoever deploys.
#
#     infra/redrive.sh streamgate
set -eu
# Version 1 of the command line overlooks the variable for this service.
sqs() { aws sqs "$@" --output text ${AWS_ENDPOINT_URL:+--endpoint-url "$AWS_ENDPOINT_URL"}; }

urls=$(aws cloudformation describe-stacks --stack-name "${1:?which stack?}" --output text \
    --query "Stacks[0].Outputs[?ends_with(OutputKey, 'DeadLettersUrl')].OutputValue")
for url in $urls; do
    letters=$(sqs get-queue-attributes --queue-url "$url" --attribute-names All --query Attributes.ApproximateNumberOfMessages)
    arn=$(sqs get-queue-attributes --queue-url "$url" --attribute-names QueueArn --query Attributes.QueueArn)
    sqs start-message-move-task --source-arn "$arn" >/dev/null
    echo "${arn##*:}: $letters sent back"
done
