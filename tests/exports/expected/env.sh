export LESS_STAGE=prod
export AWS_REGION=eu-west-1
export LESS_TOPIC_ARNS='{"order_placed":"arn:aws:sns:eu-west-1:111122223333:shop-prod-order_placed.fifo","quiet":"arn:aws:sns:eu-west-1:111122223333:shop-prod-quiet","user_created":"arn:aws:sns:eu-west-1:111122223333:shop-prod-user_created"}'
export LESS_QUEUE_URLS='{"order_placed/book":"https://sqs.eu-west-1.amazonaws.com/111122223333/shop-prod-order_placed-book.fifo","user_created/audit":"https://sqs.eu-west-1.amazonaws.com/111122223333/shop-prod-user_created-audit","user_created/send_email":"https://sqs.eu-west-1.amazonaws.com/111122223333/shop-prod-user_created-send_email","users:signed_up/welcome":"https://sqs.eu-west-1.amazonaws.com/111122223333/shop-prod-users-signed_up-welcome"}'
