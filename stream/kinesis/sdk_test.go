package kinesis_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go"
	transport "github.com/aws/smithy-go/endpoints"

	"freshet/stream"
	"freshet/stream/keyring"
	"freshet/stream/kinesis"
	"freshet/stream/kv"
)

// The access key of the tests with real clients.
const (
	sdkKey    = "AKIDEXAMPLE"
	sdkSecret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
)

// sdkSettle is how long statuses last: long enough to be seen.
const sdkSettle = 150 * time.Millisecond

// A sdkServer is the API on a port, over a log and a store on disk.
type sdkServer struct {
	url string

	mu     sync.Mutex
	called map[string]int // operation → requests
	over   map[string]int // protocol → requests
}

// startSDK starts a server, which ends with the test. It checks signatures.
func startSDK(t testing.TB, edits ...func(*kinesis.Options)) *sdkServer {
	t.Helper()
	dir := t.TempDir()
	keys, err := keyring.New([keyring.KeySize]byte{7})
	if err != nil {
		t.Fatal(err)
	}
	log, err := stream.Open(stream.Options{Dir: filepath.Join(dir, "streams"), Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	store, err := kv.Open(filepath.Join(dir, "kinesis.db"))
	if err != nil {
		t.Fatal(err)
	}
	o := kinesis.Options{Log: log, Store: store, Settle: sdkSettle, Keys: []kinesis.AccessKey{{ID: sdkKey, Secret: sdkSecret}}}
	for _, edit := range edits {
		edit(&o)
	}
	service, err := kinesis.New(o)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &sdkServer{url: "http://" + listener.Addr().String(), called: map[string]int{}, over: map[string]int{}}
	handler := service.Handler()
	server := kinesis.Server(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.note(r)
		handler.ServeHTTP(w, r)
	}))
	ctx, end := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() { log.Run(ctx) })
	group.Go(func() { service.Run(ctx) })
	group.Go(func() { server.Serve(listener) })
	t.Cleanup(func() {
		end() // ends subscriptions, so that Shutdown has none to wait for
		stop, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := server.Shutdown(stop); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		group.Wait()
		log.Close()
		store.Close()
	})
	return s
}

func (s *sdkServer) note(r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, name, ok := strings.Cut(r.Header.Get("X-Amz-Target"), "."); ok {
		s.called[name]++
	}
	s.over[r.Proto]++
}

// client returns a client of Amazon's SDK, over HTTP/1.1 or unencrypted HTTP/2.
func (s *sdkServer) client(t testing.TB, h2c bool) *sdk.Client {
	protocols := &http.Protocols{}
	protocols.SetHTTP1(!h2c)
	protocols.SetUnencryptedHTTP2(h2c)
	over := &http.Transport{Protocols: protocols}
	t.Cleanup(over.CloseIdleConnections)
	return sdk.New(sdk.Options{
		Region: "us-east-1", BaseEndpoint: &s.url, HTTPClient: &http.Client{Transport: plainBody{over}},
		Credentials: credentials.NewStaticCredentialsProvider(sdkKey, sdkSecret, ""),
		Retryer:     aws.NopRetryer{},
	})
}

// plainBody hides that the SDK's bodies are WriterTos. Where an answer comes before the
// transport has looked for the end of the body, theirs return io.EOF, which the transport
// takes for a failed write: it closes the connection, and a subscription over HTTP/1.1 ends.
type plainBody struct{ http.RoundTripper }

func (p plainBody) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		r = r.Clone(r.Context())
		r.Body = struct{ io.ReadCloser }{r.Body}
	}
	return p.RoundTripper.RoundTrip(r)
}

// ResolveEndpoint makes the server the endpoint of every operation.
func (s *sdkServer) ResolveEndpoint(context.Context, sdk.EndpointParameters) (transport.Endpoint, error) {
	u, err := url.Parse(s.url)
	return transport.Endpoint{URI: *u}, err
}

// sdkOperations are the operations of the API, but for those on channels.
func sdkOperations() (names []string) {
	client := reflect.TypeFor[*sdk.Client]()
	for i := range client.NumMethod() {
		name := client.Method(i).Name
		if name != "Options" && !strings.Contains(name, "Channel") {
			names = append(names, name)
		}
	}
	return names
}

// TestGoSDK drives every operation with Amazon's SDK for Go.
func TestGoSDK(t *testing.T) {
	t.Parallel()
	s := startSDK(t)
	c := s.client(t, false)
	for _, part := range []struct {
		name string
		run  func(*testing.T, *sdkServer, *sdk.Client)
	}{
		{"Streams", testSDKStreams},
		{"Lists", testSDKLists},
		{"Settings", testSDKSettings},
		{"OnDemand", testSDKOnDemand},
		{"Encryption", testSDKEncryption},
		{"Tags", testSDKTags},
		{"Policies", testSDKPolicies},
		{"Account", testSDKAccount},
		{"Records", testSDKRecords},
		{"Iterators", testSDKIterators},
		{"Refusals", testSDKRefusals},
		{"DryRun", testSDKDryRun},
		{"Shards", testSDKShards},
		{"ShardFilters", testSDKShardFilters},
		{"UpdateShardCount", testSDKUpdateShardCount},
		{"Consumers", testSDKConsumers},
		{"Subscribe", testSDKSubscribe},
		{"Channels", testSDKChannels},
	} {
		t.Run(part.name, func(t *testing.T) { part.run(t, s, c) })
	}
	for _, name := range sdkOperations() {
		if s.called[name] == 0 {
			t.Errorf("%s was never called", name)
		}
	}
}

// TestGoSDKOverHTTP2 drives reading, writing and a subscription over unencrypted HTTP/2.
func TestGoSDKOverHTTP2(t *testing.T) {
	t.Parallel()
	s := startSDK(t)
	c := s.client(t, true)
	t.Run("Records", func(t *testing.T) { testSDKRecords(t, s, c) })
	t.Run("Subscribe", func(t *testing.T) { testSDKSubscribe(t, s, c) })
	if s.over["HTTP/1.1"] > 0 || s.over["HTTP/2.0"] == 0 {
		t.Errorf("got requests over %v, want HTTP/2.0 alone", s.over)
	}
}

// TestGoSDKSignature sends requests that Amazon's SDK has signed with keys that are not those of
// the server.
func TestGoSDKSignature(t *testing.T) {
	t.Parallel()
	s := startSDK(t)
	for _, c := range []struct{ id, secret, code string }{
		{sdkKey, "another secret", "InvalidSignatureException"},
		{"AKIDNOBODY", sdkSecret, "UnrecognizedClientException"},
	} {
		client := s.client(t, false)
		_, err := client.ListStreams(t.Context(), &sdk.ListStreamsInput{}, func(o *sdk.Options) {
			o.Credentials = credentials.NewStaticCredentialsProvider(c.id, c.secret, "")
		})
		wantCode(t, err, c.code, "")
	}
	if _, err := s.client(t, false).ListStreams(t.Context(), &sdk.ListStreamsInput{}); err != nil {
		t.Errorf("with the right key: %v", err)
	}
}

// wantCode checks the code of an error and a part of its message.
func wantCode(t testing.TB, err error, code, message string) {
	t.Helper()
	var api smithy.APIError
	if !errors.As(err, &api) || api.ErrorCode() != code || !strings.Contains(api.ErrorMessage(), message) {
		t.Errorf("got %v, want %s: …%s…", err, code, message)
	}
}

// wantError checks that the SDK knows an error as one of its types.
func wantError[E error](t testing.TB, err error, message string) {
	t.Helper()
	var want E
	if !errors.As(err, &want) || !strings.Contains(err.Error(), message) {
		t.Errorf("got %v, want a %T: …%s…", err, want, message)
	}
}

// ok checks that there was no error.
func ok[T any](t testing.TB, v T, err error) T {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// equal checks a value.
func equal[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// make creates a stream and waits until it is ACTIVE, as the SDK waits.
func (s *sdkServer) make(t testing.TB, c *sdk.Client, name string, shards int) *string {
	t.Helper()
	if _, err := c.CreateStream(t.Context(), &sdk.CreateStreamInput{StreamName: &name, ShardCount: aws.Int32(int32(shards))}); err != nil {
		t.Fatal(err)
	}
	s.settle(t, c, name)
	return &name
}

// settle waits until a stream is ACTIVE.
func (s *sdkServer) settle(t testing.TB, c *sdk.Client, name string) {
	t.Helper()
	waiter := sdk.NewStreamExistsWaiter(c, func(o *sdk.StreamExistsWaiterOptions) {
		o.MinDelay, o.MaxDelay = 20*time.Millisecond, 50*time.Millisecond
	})
	if err := waiter.Wait(t.Context(), &sdk.DescribeStreamInput{StreamName: &name}, 10*time.Second); err != nil {
		t.Fatalf("%s does not become ACTIVE: %v", name, err)
	}
}

func (s *sdkServer) summary(t testing.TB, c *sdk.Client, name *string) *types.StreamDescriptionSummary {
	t.Helper()
	out, err := c.DescribeStreamSummary(t.Context(), &sdk.DescribeStreamSummaryInput{StreamName: name})
	return ok(t, out, err).StreamDescriptionSummary
}

func sdkShard(n int) *string { return aws.String(fmt.Sprintf("shardId-%012d", n)) }
