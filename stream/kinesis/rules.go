package kinesis

import "regexp"

// A rule is what the model demands of a shape. Lengths of strings are in characters, of
// blobs in bytes, of lists and maps in members.
type rule struct {
	min, max int64 // of the value of a number, of the length of all else; max 0 means none
	bounded  bool  // min counts
	pattern  string
	matches  func(string) bool
	enum     []string // in the order in which the service prints it
	each     *rule    // of a list's members and a map's keys
	value    *rule    // of a map's values
}

func length(min, max int64) *rule { return &rule{min: min, max: max, bounded: true} }

func word(min, max int64) *rule {
	return &rule{min: min, max: max, bounded: true, pattern: "[a-zA-Z0-9_.-]+", matches: isWord}
}

func pattern(min, max int64, p string) *rule {
	whole := regexp.MustCompile(`\A(?:` + p + `)\z`)
	return &rule{min: min, max: max, bounded: max > 0, pattern: p, matches: whole.MatchString}
}

func digits(max int, p string) *rule {
	return &rule{pattern: p, matches: func(s string) bool {
		return len(s) <= max && isDigits(s) && (s[0] != '0' || len(s) == 1)
	}}
}

func enum(values ...string) *rule { return &rule{enum: values} }

func isWord(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_', c == '.', c == '-':
		default:
			return false
		}
	}
	return s != ""
}

// ruleOf is the table of the model's constraints, by shape. It panics on a name that is
// not in it.
func ruleOf(name string) *rule {
	switch name {
	// Names.
	case "StreamName", "ShardId", "ConsumerName":
		return word(1, 128)
	case "StreamARN":
		return pattern(1, 2048, `arn:aws.*:kinesis:.*:\d{12}:stream/\S+`)
	case "ConsumerARN":
		return pattern(1, 2048, `^(arn):aws.*:kinesis:.*:\d{12}:.*stream\/[a-zA-Z0-9_.-]+\/consumer\/[a-zA-Z0-9_.-]+:[0-9]+`)
	case "ResourceARN":
		return pattern(1, 2048, `arn:aws.*:kinesis:.*:\d{12}:.*stream/\S+`)
	case "StreamId":
		return pattern(1, 24, `[a-z0-9]{20}-[a-z0-9]{3}`)
	case "KeyId":
		return length(1, 2048)
	case "NextToken":
		return length(1, 1048576)
	case "ShardIterator":
		return length(1, 512)
	// Numbers.
	case "PositiveIntegerObject":
		return length(1, 0)
	case "NaturalIntegerObject":
		return length(0, 0)
	case "RetentionPeriodHours":
		return nil
	case "MaxRecordSizeInKiB":
		return length(1024, 10240)
	case "DescribeStreamInputLimit", "ListStreamsInputLimit", "ListShardsInputLimit", "ListStreamConsumersInputLimit", "GetRecordsInputLimit":
		return length(1, 10000)
	case "ListTagsForStreamInputLimit":
		return length(1, 50)
	// Records.
	case "PartitionKey":
		return length(1, 256)
	case "Data":
		return length(0, 10485760)
	case "HashKey":
		return digits(39, `0|([1-9]\d{0,38})`)
	case "SequenceNumber":
		return digits(129, `0|([1-9]\d{0,128})`)
	case "PutRecordsRequestEntryList":
		return length(1, 500)
	// Tags.
	case "TagKey":
		return length(1, 128)
	case "TagMap":
		return &rule{min: 1, max: 200, bounded: true, each: length(1, 128), value: length(0, 256)}
	case "TagKeyList":
		return &rule{min: 1, max: 50, bounded: true, each: length(1, 128)}
	case "MetricsNameList":
		return &rule{min: 1, max: 7, bounded: true, each: enumOf("MetricsName")}
	default:
		return enumOf(name)
	}
}

func enumOf(name string) *rule {
	switch name {
	case "ShardIteratorType":
		return enum("AFTER_SEQUENCE_NUMBER", "LATEST", "AT_TIMESTAMP", "AT_SEQUENCE_NUMBER", "TRIM_HORIZON")
	case "ShardFilterType":
		return enum("AFTER_SHARD_ID", "AT_TRIM_HORIZON", "FROM_TRIM_HORIZON", "AT_LATEST", "AT_TIMESTAMP", "FROM_TIMESTAMP")
	case "EncryptionType":
		return enum("NONE", "KMS")
	case "StreamMode":
		return enum("PROVISIONED", "ON_DEMAND")
	case "ScalingType":
		return enum("UNIFORM_SCALING")
	case "RecordDistributionStrategy":
		return enum("AUTO", "USER_PARTITION_KEY")
	case "MinimumThroughputBillingCommitmentInputStatus":
		return enum("ENABLED", "DISABLED")
	case "MetricsName":
		return enum("IncomingBytes", "IncomingRecords", "OutgoingBytes", "OutgoingRecords",
			"WriteProvisionedThroughputExceeded", "ReadProvisionedThroughputExceeded", "IteratorAgeMilliseconds", "ALL")
	}
	panic("kinesis: no rule " + name)
}
