package kinesis

type RegisterStreamConsumerInput struct {
	StreamARN    *string           `k:"required,StreamARN"`
	ConsumerName *string           `k:"required,ConsumerName"`
	StreamId     *string           `k:"StreamId"`
	Tags         map[string]string `k:"TagMap"`
}

type RegisterStreamConsumerOutput struct {
	Consumer Consumer
}

type Consumer struct {
	ConsumerName              string
	ConsumerARN               string
	ConsumerStatus            string
	ConsumerCreationTimestamp Timestamp
}

type DeregisterStreamConsumerInput struct {
	StreamARN    *string `k:"StreamARN"`
	ConsumerName *string `k:"ConsumerName"`
	ConsumerARN  *string `k:"ConsumerARN"`
	StreamId     *string `k:"StreamId"`
}

type DescribeStreamConsumerInput struct {
	StreamARN    *string `k:"StreamARN"`
	ConsumerName *string `k:"ConsumerName"`
	ConsumerARN  *string `k:"ConsumerARN"`
	StreamId     *string `k:"StreamId"`
}

type DescribeStreamConsumerOutput struct {
	ConsumerDescription ConsumerDescription
}

type ConsumerDescription struct {
	ConsumerName              string
	ConsumerARN               string
	ConsumerStatus            string
	ConsumerCreationTimestamp Timestamp
	StreamARN                 string
}

type ListStreamConsumersInput struct {
	StreamARN               *string `k:"required,StreamARN"`
	NextToken               *string `k:"NextToken"`
	MaxResults              *int    `k:"ListStreamConsumersInputLimit"`
	StreamCreationTimestamp *Timestamp
	StreamId                *string `k:"StreamId"`
}

type ListStreamConsumersOutput struct {
	Consumers []Consumer
	NextToken string `k:"omit"`
}
