// Reads credentials as Grafana does, with Go's own decoders, for comparison.
//
// Standard input holds one case a line: a kind and hex. Standard output holds one line for each.
package main

import (
	"bufio"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"log"
	"net/http"
	"net/url"
	"os"
	"strings"
	"unicode"
)

// The rounds that Grafana uses. Fewer do not change which secrets have one hash, and thousands of cases take fewer.
const rounds = 10000

func main() {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 1<<24)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for in.Scan() {
		kind, rest, _ := strings.Cut(in.Text(), " ")
		var answer string
		switch kind {
		case "token":
			answer = token(unhex(rest), 1)
		case "token-hash":
			answer = token(unhex(rest), rounds)
		case "jwt":
			answer = jwt(unhex(rest))
		case "cookie":
			answer = cookie(strings.Split(rest, " "))
		default:
			log.Fatalf("unknown kind %q", kind)
		}
		fmt.Fprintln(out, answer)
	}
	if err := in.Err(); err != nil {
		log.Fatal(err)
	}
}

func unhex(text string) string {
	decoded, err := hex.DecodeString(text)
	if err != nil {
		log.Fatal(err)
	}
	return string(decoded)
}

func hash(secret, salt string, rounds int) string {
	key, err := pbkdf2.Key(sha256.New, secret, []byte(salt), rounds, 50)
	if err != nil {
		log.Fatal(err)
	}
	return hex.EncodeToString(key)
}

func token(text string, rounds int) string {
	if strings.HasPrefix(text, "gl") {
		return prefixed(text, rounds)
	}
	payload, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return "none"
	}
	var key struct {
		Key   string `json:"k"`
		Name  string `json:"n"`
		OrgID int64  `json:"id"`
	}
	if err := json.Unmarshal(payload, &key); err != nil {
		return "none"
	}
	// HMAC does not distinguish these from an empty key.
	if len(key.Key) <= 64 && strings.Trim(key.Key, "\x00") == "" {
		return "none"
	}
	return fmt.Sprintf("key %d [%x] [%x] %s", key.OrgID, key.Name, key.Key, hash(key.Key, key.Name, rounds))
}

func prefixed(text string, rounds int) string {
	parts := strings.Split(text, "_")
	if len(parts) != 3 {
		return "none"
	}
	sum := make([]byte, 4)
	binary.LittleEndian.PutUint32(sum, crc32.ChecksumIEEE([]byte(parts[0]+"_"+parts[1])))
	if hex.EncodeToString(sum) != parts[2] {
		return "none"
	}
	return fmt.Sprintf("prefixed [%x] [%x] %s", parts[1], parts[2], hash(parts[1], parts[2], rounds))
}

// The compact form only.
func jwt(text string) string {
	text = strings.ReplaceAll(text, "=", "")
	var clean strings.Builder
	for _, letter := range text {
		if !unicode.IsSpace(letter) {
			clean.WriteRune(letter)
		}
	}
	parts := strings.Split(clean.String(), ".")
	if len(parts) != 3 {
		return "none"
	}
	var decoded [3][]byte
	for i, part := range parts {
		var err error
		if decoded[i], err = base64.RawURLEncoding.DecodeString(part); err != nil || len(decoded[i]) == 0 {
			return "none"
		}
	}
	var header map[string]json.RawMessage
	if err := json.Unmarshal(decoded[0], &header); err != nil || header == nil {
		return "none"
	}
	return fmt.Sprintf("jwt [%x] [%x] [%x]", decoded[0], decoded[1], decoded[2])
}

// The name, then the lines.
func cookie(fields []string) string {
	request := http.Request{Header: http.Header{}}
	for _, line := range fields[1:] {
		request.Header["Cookie"] = append(request.Header["Cookie"], unhex(strings.Trim(line, "[]")))
	}
	found, err := request.Cookie(unhex(strings.Trim(fields[0], "[]")))
	if err != nil {
		return "none"
	}
	value, err := url.QueryUnescape(found.Value)
	if err != nil {
		return "unreadable"
	}
	return fmt.Sprintf("read [%x]", value)
}
