package main

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
)

// TestVectors prints the answer to each golden vector of notes: tests/verifiers/test_vectors.py
// knows what it has to be.
func TestVectors(t *testing.T) {
	files, err := filepath.Glob("../../tests/vectors/note/*/*.json")
	if err != nil || len(files) == 0 {
		t.Skip("the vectors are not here")
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var vector struct {
			Form, Input, Policy string
			Keys                []string
			InputHex            string `json:"input_hex"`
			PolicyHex           string `json:"policy_hex"`
			EntryHex            string `json:"entry_hex"`
			Now                 *uint64
		}
		if err := json.Unmarshal(data, &vector); err != nil {
			t.Fatal(file, err)
		}
		input := either(vector.Input, vector.InputHex)
		policy := either(vector.Policy, vector.PolicyHex)
		answer := "yes"
		if err := answerTo(vector.Form, input, policy, vector.Keys, vector.EntryHex, vector.Now); err != nil {
			answer = "no"
		}
		fmt.Println("vector", filepath.Base(filepath.Dir(file))+"/"+filepath.Base(file), answer)
	}
}

func either(text, digits string) []byte {
	if data, err := hex.DecodeString(digits); err == nil && digits != "" {
		return data
	}
	return []byte(text)
}

func answerTo(form string, input, policyText []byte, vkeys []string, entry string, now *uint64) error {
	switch form {
	case "vkey":
		_, err := parseKey(string(input))
		return err
	case "policy":
		_, err := parsePolicy(input)
		return err
	case "note", "checkpoint":
		var keys []*key
		for _, vkey := range vkeys {
			k, err := parseKey(vkey)
			if err != nil {
				return err
			}
			keys = append(keys, k)
		}
		text, found, _, err := opened(input, keys)
		if err == nil && len(found) == 0 {
			err = untrue("nobody known")
		}
		if err == nil && form == "checkpoint" {
			_, err = parseCheckpoint(text)
		}
		return err
	}
	p, err := parsePolicy(policyText)
	if err != nil {
		return err
	}
	p.until = math.MaxUint64
	if now != nil {
		p.until = *now + ahead
	}
	if form == "quorum" {
		_, err := p.check(input)
		return err
	}
	proof, err := parseProof(input)
	if err != nil {
		return err
	}
	data, err := hex.DecodeString(entry)
	if err != nil {
		return err
	}
	_, err = judge{p}.included(input, proof.index, tlog.RecordHash(data))
	return err
}
