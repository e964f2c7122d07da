package peer

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"
)

// canary is 32 bytes of text, so that it shows in verbs for text and for numbers alike.
const canary = "canary-CANARY-canary-CANARY-1234"

// A holder has a secret in a field of each kind: fmt calls no methods of the
// unexported ones.
type holder struct {
	Exported any
	hidden   any
}

type keyHolder struct {
	Pointer *Key
	Value   Key
	pointer *Key
	value   Key
}

type secretHolder struct {
	Value Secret
	value Secret
	list  []Secret
	table map[string]Secret
}

// needles are the spellings in which a formatter shows 4 bytes of the canary in a row.
var needles = func() (list []string) {
	for i := 0; i+4 <= len(canary); i++ {
		w := []byte(canary[i : i+4])
		for _, verb := range []string{"%s", "%x", "%X", "% x", "% X", "%d", "%o", "%O", "%b", "%q", "%U", "%#v", "%#x", "%# x", "%#q"} {
			list = append(list, strings.TrimSuffix(strings.Trim(fmt.Sprintf(verb, w), "`\"[]"), "}"))
		}
		list = append(list, strings.ReplaceAll(strings.Trim(fmt.Sprintf("%d", w), "[]"), " ", ","))
	}
	for i, s := range list {
		list[i] = strings.TrimPrefix(s, "[]byte{")
	}
	for _, enc := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
		list = append(list, enc.EncodeToString([]byte(canary))[:16])
	}
	return list
}()

// leak returns how text shows part of the canary, or nothing.
func leak(text string) string {
	for _, s := range needles {
		if strings.Contains(text, s) {
			return s
		}
	}
	return ""
}

// secretsToPrint returns every value that must not show the canary, with what
// its text must be when it is printed by itself, if that is known.
func secretsToPrint(t *testing.T) map[string]struct {
	value any
	exact bool
} {
	t.Helper()
	key, err := KeyFromSeed([]byte(canary))
	if err != nil {
		t.Fatal(err)
	}
	secret := NewSecret([]byte(canary))
	type entry = struct {
		value any
		exact bool
	}
	return map[string]entry{
		"*Key":            {key, true},
		"Key":             {*key, true},
		"Signer":          {key.Signer(), true},
		"Secret":          {secret, true},
		"*Secret":         {&secret, true},
		"**Key":           {&key, false},
		"keys":            {[]*Key{key}, false},
		"key values":      {[]Key{*key}, false},
		"map":             {map[string]*Key{"k": key}, false},
		"secrets":         {[]Secret{secret}, false},
		"key struct":      {keyHolder{key, *key, key, *key}, false},
		"key *struct":     {&keyHolder{key, *key, key, *key}, false},
		"secret struct":   {secretHolder{secret, secret, []Secret{secret}, map[string]Secret{"s": secret}}, false},
		"*secret struct":  {&secretHolder{secret, secret, []Secret{secret}, map[string]Secret{"s": secret}}, false},
		"any key":         {holder{key, key}, false},
		"any signer":      {holder{key.Signer(), key.Signer()}, false},
		"any secret":      {&holder{secret, secret}, false},
		"any *secret":     {holder{&secret, &secret}, false},
		"nested":          {[]any{holder{&holder{*key, secret}, []any{*key}}}, false},
		"reflected key":   {reflect.ValueOf(*key), false},
		"reflected":       {reflect.ValueOf(secretHolder{value: secret}), false},
		"error with key":  {fmt.Errorf("broken %v %s", key, *key), false},
		"error with both": {errors.Join(fmt.Errorf("a %x", secret), fmt.Errorf("b %+v", holder{*key, secret})), false},
	}
}

// I2, T27: no verb of fmt shows a secret.
func TestSecretsRedactedInEveryVerb(t *testing.T) {
	private := ed25519.NewKeyFromSeed([]byte(canary))
	if leak(fmt.Sprintf("%v", private)) == "" || leak(fmt.Sprintf("%#v", []byte(canary))) == "" {
		t.Fatal("the detector does not see an unprotected key")
	}
	var verbs []string
	for c := 'A'; c <= 'z'; c++ {
		for _, flags := range []string{"", "+", "#", "-", " ", "0", "40", ".3", "# ", "+#"} {
			verbs = append(verbs, "%"+flags+string(c))
		}
	}
	for name, e := range secretsToPrint(t) {
		for _, verb := range verbs {
			got := fmt.Sprintf(verb, e.value)
			if s := leak(got); s != "" {
				t.Fatalf("%s with %s shows %s: %s", name, verb, s, got)
			}
			// %T, %p and %w never reach the value's own formatter.
			if e.exact && !strings.ContainsAny(verb, "Tpw") && verb[len(verb)-1] >= 'a' && got != redactedText {
				t.Errorf("%s with %s prints %q", name, verb, got)
			}
		}
		if s := leak(fmt.Sprint(e.value) + fmt.Sprintln(e.value)); s != "" {
			t.Errorf("%s with Print shows %s", name, s)
		}
	}
}

// I2, T27: encoders and loggers do not show a secret either.
func TestSecretsRedactedInEncodersAndLogs(t *testing.T) {
	for name, e := range secretsToPrint(t) {
		var out bytes.Buffer
		if b, err := json.Marshal(e.value); err == nil {
			out.Write(b)
			if e.exact && string(b) != `"redacted"` {
				t.Errorf("JSON of %s is %s", name, b)
			}
		}
		if b, err := xml.Marshal(e.value); err == nil {
			out.Write(b)
		}
		_ = gob.NewEncoder(&out).Encode(e.value)
		level := &slog.HandlerOptions{Level: slog.LevelDebug}
		slog.New(slog.NewTextHandler(&out, level)).Debug("text", "v", e.value)
		slog.New(slog.NewJSONHandler(&out, level)).Debug("json", "v", e.value)
		if s := leak(out.String()); s != "" {
			t.Errorf("%s shows %s: %s", name, s, &out)
		}
	}
	key := testKey(t, 1)
	for _, got := range []string{key.String(), key.GoString(), key.LogValue().String(), NewSecret([]byte(canary)).String()} {
		if got != redactedText {
			t.Errorf("printed %q", got)
		}
	}
}

// The detector sees one byte run in each form, so the tests above can fail.
func TestLeakDetector(t *testing.T) {
	for _, verb := range []string{"%v", "%#v", "%s", "%x", "%X", "%q", "%d", "% x", "%o", "%b"} {
		if leak(fmt.Sprintf(verb, []byte(canary))) == "" {
			t.Errorf("%s of a plain canary goes unseen", verb)
		}
	}
}

// Neither keys nor secrets can be compared with ==, which is not constant-time.
func TestSecretsAreNotComparable(t *testing.T) {
	for _, v := range []any{Key{}, Secret{}, signer{}} {
		if reflect.TypeOf(v).Comparable() {
			t.Errorf("%T is comparable", v)
		}
	}
	if a, b := testKey(t, 1), testKey(t, 1); reflect.DeepEqual(a, b) {
		t.Error("DeepEqual compares private keys")
	}
}

var _ crypto.Signer = signer{}
