package kinesis

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// maxConsumers bounds the consumers of a stream.
	maxConsumers = 20
	// maxConsumersCreating bounds those that are CREATING where the limits of the service hold.
	maxConsumersCreating = 5
)

// A consumerState is a registered consumer at a moment.
type consumerState struct {
	name    string
	arn     string
	created int64 // epoch milliseconds
	status  string
}

// consumerByARN finds a registered consumer, whatever its status is, and its stream.
func (s *Service) consumerByARN(arn string) (*streamState, *consumerState, *Error) {
	streamARN, consumer := splitResource(arn)
	st, failed := s.lookup(&streamARN, nil, nil)
	if failed != nil {
		return nil, nil, failed
	}
	now := s.options.Now()
	c, failed := s.consumerIn(st, &st.view.Load().streamRecord, consumer, now)
	if failed != nil {
		return nil, nil, failed
	}
	return st, &consumerState{name: c.Name, arn: consumerARN(st, c), created: c.Created, status: c.status(now)}, nil
}

// consumerIn finds what follows "/consumer/" in the ARN of a consumer.
func (s *Service) consumerIn(st *streamState, r *streamRecord, nameAndSecond string, now time.Time) (*consumerRecord, *Error) {
	name, second, _ := strings.Cut(nameAndSecond, ":")
	c := r.consumer(name, now)
	if c == nil || strconv.FormatInt(c.Created/1000, 10) != second {
		return nil, s.noConsumer(st, name)
	}
	return c, nil
}

func (s *Service) noConsumer(st *streamState, name string) *Error {
	return resourceNotFound("Consumer %s under stream %s and account %s not found.", name, st.name, s.options.Account)
}

// consumerNotActive is the refusal of what only an ACTIVE consumer may be asked.
func (s *Service) consumerNotActive(st *streamState, name string, created int64) *Error {
	return resourceInUse("Consumer %s with creation timestamp %d under stream %s and account %s is not in ACTIVE status.", name, created/1000, st.name, s.options.Account)
}

func (s *Service) registerStreamConsumer(ctx context.Context, in *RegisterStreamConsumerInput) (*RegisterStreamConsumerOutput, error) {
	st, failed := s.lookup(in.StreamARN, nil, in.StreamId)
	if failed != nil {
		return nil, failed
	}
	var out *RegisterStreamConsumerOutput
	err := s.changeSettled(ctx, st, func(r *streamRecord, now time.Time) error {
		if r.consumer(*in.ConsumerName, now) != nil {
			return resourceInUse("Consumer %s under stream %s and account %s already exists.", *in.ConsumerName, st.name, s.options.Account)
		}
		if err := s.roomForConsumer(r, now); err != nil {
			return err
		}
		if err := checkTags(nil, in.Tags); err != nil {
			return err
		}
		c := consumerRecord{
			Name: *in.ConsumerName, Created: now.UnixMilli(), Tags: in.Tags,
			Phase: creating, Until: now.Add(s.options.Settle).UnixMilli(),
		}
		at, _ := slices.BinarySearchFunc(r.Consumers, c.Name, func(c consumerRecord, name string) int { return strings.Compare(c.Name, name) })
		r.Consumers = slices.Insert(r.Consumers, at, c)
		out = &RegisterStreamConsumerOutput{describeConsumer(st, &c, now)}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (s *Service) roomForConsumer(r *streamRecord, now time.Time) error {
	inCreation := 0
	for _, c := range r.Consumers {
		if c.status(now) == creating {
			inCreation++
		}
	}
	switch {
	case len(r.Consumers) >= maxConsumers:
		return limitExceeded("Stream %s under account %s already has %d consumers registered, the most that a stream can have.", r.Name, s.options.Account, maxConsumers)
	case s.options.ShardLimits && inCreation >= maxConsumersCreating:
		return limitExceeded("Stream %s under account %s already has %d consumers in CREATING status, the most that a stream can have at a time.", r.Name, s.options.Account, maxConsumersCreating)
	}
	return nil
}

func describeConsumer(st *streamState, c *consumerRecord, now time.Time) Consumer {
	return Consumer{ConsumerName: c.Name, ConsumerARN: consumerARN(st, c), ConsumerStatus: c.status(now), ConsumerCreationTimestamp: Timestamp(c.Created)}
}

// namedConsumer reads the two ways to name a consumer: by its ARN, or by its name and the
// ARN of its stream. It returns what follows "/consumer/" in its ARN, or the name alone.
func (s *Service) namedConsumer(consumerARN, streamARN, name, streamID *string) (*streamState, string, *Error) {
	if consumerARN == nil {
		if name == nil || streamARN == nil && streamID == nil {
			return nil, "", invalidArgument("Either ConsumerARN or both StreamARN and ConsumerName should be provided.")
		}
		st, failed := s.lookup(streamARN, nil, streamID)
		return st, *name, failed
	}
	ofStream, consumer := splitResource(*consumerARN)
	st, failed := s.lookup(&ofStream, nil, streamID)
	if failed != nil {
		return nil, "", failed
	}
	of, _, _ := strings.Cut(consumer, ":")
	if streamARN != nil && *streamARN != ofStream || name != nil && *name != of {
		return nil, "", invalidArgument("ConsumerARN %s does not match the StreamARN or the ConsumerName that are provided with it.", *consumerARN)
	}
	return st, consumer, nil
}

// pick finds what namedConsumer returned.
func (s *Service) pick(st *streamState, r *streamRecord, consumer string, now time.Time) (*consumerRecord, *Error) {
	if strings.Contains(consumer, ":") {
		return s.consumerIn(st, r, consumer, now)
	}
	if c := r.consumer(consumer, now); c != nil {
		return c, nil
	}
	return nil, s.noConsumer(st, consumer)
}

func (s *Service) deregisterStreamConsumer(ctx context.Context, in *DeregisterStreamConsumerInput) (*void, error) {
	st, consumer, failed := s.namedConsumer(in.ConsumerARN, in.StreamARN, in.ConsumerName, in.StreamId)
	if failed != nil {
		return nil, failed
	}
	return nil, s.change(ctx, st, func(r *streamRecord, now time.Time) error {
		c, failed := s.pick(st, r, consumer, now)
		if failed != nil {
			return failed
		}
		if c.status(now) != active {
			return s.consumerNotActive(st, c.Name, c.Created)
		}
		c.Phase, c.Until = deleting, now.Add(s.options.Settle).UnixMilli()
		return nil
	})
}

func (s *Service) describeStreamConsumer(_ context.Context, in *DescribeStreamConsumerInput) (*DescribeStreamConsumerOutput, error) {
	st, consumer, failed := s.namedConsumer(in.ConsumerARN, in.StreamARN, in.ConsumerName, in.StreamId)
	if failed != nil {
		return nil, failed
	}
	now := s.options.Now()
	c, failed := s.pick(st, &st.view.Load().streamRecord, consumer, now)
	if failed != nil {
		return nil, failed
	}
	d := describeConsumer(st, c, now)
	return &DescribeStreamConsumerOutput{ConsumerDescription{
		ConsumerName: d.ConsumerName, ConsumerARN: d.ConsumerARN, ConsumerStatus: d.ConsumerStatus,
		ConsumerCreationTimestamp: d.ConsumerCreationTimestamp, StreamARN: st.arn,
	}}, nil
}
