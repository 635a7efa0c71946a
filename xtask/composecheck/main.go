// Command composecheck reads a compose file as `docker compose` does, with all profiles and no
// variables but those of the .env file beside it, and prints what it says as JSON. What compose
// only warns of, such as a variable that is not set, is an error here.
package main

import (
	"bytes"
	"context"
	"errors"
	"log"
	"os"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/sirupsen/logrus"
)

func load(file string) ([]byte, error) {
	var warnings bytes.Buffer
	logrus.SetOutput(&warnings)
	logrus.SetFormatter(&logrus.TextFormatter{DisableTimestamp: true})
	options, err := cli.NewProjectOptions([]string{file}, cli.WithEnvFiles(), cli.WithDotEnv,
		cli.WithName("check"), cli.WithProfiles([]string{"*"}))
	if err != nil {
		return nil, err
	}
	project, err := options.LoadProject(context.Background())
	if err != nil {
		return nil, err
	}
	if warnings.Len() > 0 {
		return nil, errors.New(warnings.String())
	}
	return project.MarshalJSON()
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("compose refuses it: ")
	text, err := load(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	os.Stdout.Write(text)
}
