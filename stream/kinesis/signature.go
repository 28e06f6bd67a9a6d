package kinesis

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	signatureAlgorithm = "AWS4-HMAC-SHA256"
	scopeEnd           = "aws4_request"
	scopeService       = "kinesis"
	unsignedPayload    = "UNSIGNED-PAYLOAD"
	amzTime            = "20060102T150405Z"
	amzDay             = "20060102"
	signatureSkew      = 15 * time.Minute
	maxExpires         = 7 * 24 * time.Hour
)

// A signature is what a request claims, before it is verified.
type signature struct {
	keyID, day, region, service, end string // the credential
	signed                           []string
	hex                              string
	date                             time.Time
	expires                          time.Duration // 0: the skew
	query                            bool          // it stands in the query
}

// authenticate checks a request's Signature V4. Without AuthOff it returns nil only for
// one that a configured key made within the last 15 minutes, for this region and service,
// over this method, path, query, body and the signed headers.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
func (s *Service) authenticate(r *http.Request, body []byte) *Error {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return incompleteSignature("The query string is malformed.")
	}
	claim, failure := readSignature(r, query)
	if failure != nil || s.options.AuthOff {
		return failure
	}
	if failure := s.checkClaim(claim, r); failure != nil {
		return failure
	}
	payload, failure := payloadHash(r, query, body)
	if failure != nil {
		return failure
	}
	secret, known := s.secrets[claim.keyID]
	want := claim.sign(secret, canonicalRequest(r, query, claim, payload))
	same := hmac.Equal([]byte(want), []byte(claim.hex))
	switch {
	case !known:
		return &Error{Code: "UnrecognizedClientException", Message: "The security token included in the request is invalid."}
	case !same:
		return invalidSignature("The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.")
	}
	return nil
}

// readSignature finds the signature in the header or in the query, and what is missing of it.
func readSignature(r *http.Request, query url.Values) (*signature, *Error) {
	header := r.Header.Get("Authorization")
	inQuery := query.Has("X-Amz-Algorithm")
	switch {
	case header != "" && inQuery:
		return nil, invalidSignature("Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header.")
	case header == "" && !inQuery:
		return nil, &Error{Code: "MissingAuthenticationTokenException", Message: "Missing Authentication Token"}
	case inQuery:
		return readQuery(query)
	default:
		return readHeader(r, header)
	}
}

func readHeader(r *http.Request, header string) (*signature, *Error) {
	algorithm, rest, _ := strings.Cut(header, " ")
	params := map[string]string{}
	for part := range strings.FieldsFuncSeq(rest, func(c rune) bool { return c == ',' || c == ' ' }) {
		if name, value, ok := strings.Cut(part, "="); ok {
			params[name] = value
		}
	}
	missing := ""
	for _, name := range []string{"Credential", "Signature", "SignedHeaders"} {
		if params[name] == "" {
			missing += "Authorization header requires '" + name + "' parameter. "
		}
	}
	date := r.Header.Get("X-Amz-Date")
	if date == "" {
		if date = r.Header.Get("Date"); date == "" {
			missing += "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. "
		}
	}
	if missing != "" {
		return nil, incompleteSignature("%s", missing+"Authorization="+echo([]byte(header)))
	}
	if algorithm != signatureAlgorithm {
		return nil, incompleteSignature("Unsupported AWS 'algorithm': '%s'.", echo([]byte(algorithm)))
	}
	return newSignature(params["Credential"], params["SignedHeaders"], params["Signature"], date)
}

func readQuery(query url.Values) (*signature, *Error) {
	missing := ""
	for _, name := range []string{"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature", "X-Amz-SignedHeaders", "X-Amz-Date"} {
		if query.Get(name) == "" {
			missing += "AWS query-string parameters must include '" + name + "'. "
		}
	}
	if missing != "" {
		return nil, incompleteSignature("%s", missing+"Re-examine the query-string parameters.")
	}
	if algorithm := query.Get("X-Amz-Algorithm"); algorithm != signatureAlgorithm {
		return nil, incompleteSignature("Unsupported AWS 'algorithm': '%s'.", echo([]byte(algorithm)))
	}
	claim, failure := newSignature(query.Get("X-Amz-Credential"), query.Get("X-Amz-SignedHeaders"), query.Get("X-Amz-Signature"), query.Get("X-Amz-Date"))
	if failure != nil {
		return nil, failure
	}
	claim.query = true
	if text := query.Get("X-Amz-Expires"); text != "" {
		seconds, err := strconv.ParseUint(text, 10, 32)
		if err != nil || seconds == 0 || time.Duration(seconds)*time.Second > maxExpires {
			return nil, incompleteSignature("X-Amz-Expires must be between 1 and %d seconds, got '%s'.", int(maxExpires.Seconds()), echo([]byte(text)))
		}
		claim.expires = time.Duration(seconds) * time.Second
	}
	return claim, nil
}

func newSignature(credential, signed, hexText, date string) (*signature, *Error) {
	parts := strings.Split(credential, "/")
	if len(parts) != 5 || parts[0] == "" {
		return nil, incompleteSignature("Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '%s'", echo([]byte(credential)))
	}
	moment, ok := readDate(date)
	if !ok {
		return nil, incompleteSignature("Date must be in ISO-8601 'basic format'. Got '%s'. See http://en.wikipedia.org/wiki/ISO_8601", echo([]byte(date)))
	}
	return &signature{
		keyID: parts[0], day: parts[1], region: parts[2], service: parts[3], end: parts[4],
		signed: strings.Split(signed, ";"), hex: hexText, date: moment,
	}, nil
}

func readDate(text string) (time.Time, bool) {
	if t, err := time.Parse(amzTime, text); err == nil {
		return t, true
	}
	t, err := http.ParseTime(text)
	return t.UTC(), err == nil
}

// checkClaim looks at the scope, the age and the headers that a signature covers.
func (s *Service) checkClaim(c *signature, r *http.Request) *Error {
	wrong := ""
	if c.region != s.options.Region {
		wrong += "Credential should be scoped to a valid region. "
	}
	if c.service != scopeService {
		wrong += "Credential should be scoped to correct service: 'kinesis'. "
	}
	if c.end != scopeEnd {
		wrong += "Credential should be scoped with a valid terminator: 'aws4_request'. "
	}
	if day := c.date.Format(amzDay); day != c.day {
		wrong += "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '" + echo([]byte(c.day)) + "' != '" + day + "', from '" + c.date.Format(amzTime) + "'. "
	}
	if wrong != "" {
		return invalidSignature("%s", wrong)
	}
	if failure := c.checkAge(s.options.Now().UTC()); failure != nil {
		return failure
	}
	// Over HTTP/2 the SDK for JavaScript signs the pseudo-header in place of Host.
	if !c.covers("host") && !(r.ProtoMajor == 2 && c.covers(":authority")) {
		return invalidSignature("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
	}
	for _, name := range []string{"X-Amz-Target", "X-Amz-Security-Token"} {
		if r.Header.Get(name) != "" && !c.covers(strings.ToLower(name)) {
			return invalidSignature("'%s' must be a 'SignedHeader' in the AWS Authorization.", name)
		}
	}
	return nil
}

func (c *signature) checkAge(now time.Time) *Error {
	now = now.Truncate(time.Second)
	keep, label := signatureSkew, "15 min."
	if c.expires > 0 {
		keep, label = c.expires, strconv.Itoa(int(c.expires.Seconds()))+" sec."
	}
	if oldest := now.Add(-keep); c.date.Before(oldest) {
		return invalidSignature("Signature expired: %s is now earlier than %s (%s - %s)", c.date.Format(amzTime), oldest.Format(amzTime), now.Format(amzTime), label)
	}
	if newest := now.Add(signatureSkew); c.date.After(newest) {
		return invalidSignature("Signature not yet current: %s is still later than %s (%s + 15 min.)", c.date.Format(amzTime), newest.Format(amzTime), now.Format(amzTime))
	}
	return nil
}

func (c *signature) covers(header string) bool {
	for _, name := range c.signed {
		if strings.EqualFold(name, header) {
			return true
		}
	}
	return false
}

// payloadHash is the body's hash as the signature has it.
func payloadHash(r *http.Request, query url.Values, body []byte) (string, *Error) {
	claimed := r.Header.Get("X-Amz-Content-Sha256")
	if claimed == "" {
		claimed = query.Get("X-Amz-Content-Sha256")
	}
	if claimed == unsignedPayload {
		return claimed, nil
	}
	if strings.HasPrefix(claimed, "STREAMING-") {
		return "", invalidSignature("The payload signature '%s' is not supported: sign the whole body.", echo([]byte(claimed)))
	}
	sum := sha256.Sum256(body)
	is := hex.EncodeToString(sum[:])
	if claimed != "" && !hmac.Equal([]byte(is), []byte(strings.ToLower(claimed))) {
		return "", invalidSignature("The provided 'x-amz-content-sha256' header does not match what was computed.")
	}
	return is, nil
}

// sign is the signature that a secret gives a canonical request, in hexadecimal.
func (c *signature) sign(secret, canonical string) string {
	key := []byte("AWS4" + secret)
	for _, part := range []string{c.day, c.region, c.service, c.end} {
		key = mac(key, part)
	}
	scope := c.day + "/" + c.region + "/" + c.service + "/" + c.end
	sum := sha256.Sum256([]byte(canonical))
	return hex.EncodeToString(mac(key, signatureAlgorithm+"\n"+c.date.Format(amzTime)+"\n"+scope+"\n"+hex.EncodeToString(sum[:])))
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

func incompleteSignature(format string, args ...any) *Error {
	return fail("IncompleteSignatureException", format, args)
}

func invalidSignature(format string, args ...any) *Error {
	return fail("InvalidSignatureException", format, args)
}
