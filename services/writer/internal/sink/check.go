package sink

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"cloud.google.com/go/auth"
	"cloud.google.com/go/auth/credentials"
	"cloud.google.com/go/bigquery"
	"cloud.google.com/go/bigquery/storage/apiv1/storagepb"
	"google.golang.org/api/iterator"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/waybill-data/waybill/pkg/findings"
)

// checkTimeout bounds each thing that Check looks at.
const checkTimeout = 5 * time.Second

// wanted are the permissions on a table that appending takes. Contracts with evolution: additive take mayEvolve too;
// which contracts there are, only ingest knows.
var wanted = []string{"bigquery.tables.get", "bigquery.tables.updateData"}

const mayEvolve = "bigquery.tables.update"

// Check looks at everything that the configuration points to: credentials, dataset, permissions, and the Storage Write
// API. It changes nothing.
func Check(ctx context.Context, c Config, version string) []findings.Finding {
	found := []findings.Finding{checkCredentials(ctx, c)}
	if found[0].State == findings.Fail {
		return found
	}
	s, err := Open(ctx, c, Env{Version: version})
	if err != nil {
		return append(found, findings.Finding{
			What: "BigQuery client", State: findings.Fail, Detail: err.Error(), Remedy: "correct the bigquery section",
		})
	}
	defer s.Close() //nolint:errcheck // Nothing was written that could be lost.
	dataset, stands := s.checkDataset(ctx)
	found = append(found, dataset)
	table := ""
	if stands {
		var finding findings.Finding
		finding, table = s.checkPermissions(ctx)
		found = append(found, finding)
	}
	return append(found, s.checkStorage(ctx, table))
}

func checkCredentials(ctx context.Context, c Config) findings.Finding {
	f := findings.Finding{What: "credentials", State: findings.Fail}
	if c.Insecure {
		f.State, f.Detail = findings.OK, "none: the endpoint is insecure"
		return f
	}
	from := c.Credentials
	if from == "" {
		from = "default credentials"
	}
	options := &credentials.DetectOptions{Scopes: []string{bigquery.Scope}}
	detect := func() (*auth.Credentials, error) { return credentials.DetectDefault(options) }
	if c.Credentials != "" {
		detect = func() (*auth.Credentials, error) {
			kind, err := credentialsType(c.Credentials)
			if err != nil {
				return nil, err
			}
			return credentials.NewCredentialsFromFile(credentials.CredType(kind), c.Credentials, options)
		}
	}
	detected, err := detect()
	if err == nil {
		ctx, cancel := context.WithTimeout(ctx, checkTimeout)
		defer cancel()
		_, err = detected.Token(ctx)
	}
	if err != nil {
		f.Detail = fmt.Sprintf("%s: %v", from, err)
		f.Remedy = "name a service account's file in bigquery.credentials, set GOOGLE_APPLICATION_CREDENTIALS, or " +
			"run on Google Cloud"
		return f
	}
	f.State, f.Detail = findings.OK, from+" give a token"
	return f
}

// checkDataset also reports whether the dataset stands.
func (s *Sink) checkDataset(ctx context.Context) (findings.Finding, bool) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	c := s.config
	f := findings.Finding{What: "dataset " + c.Project + "." + c.Dataset, State: findings.Fail}
	metadata, err := s.rest.Dataset(c.Dataset).Metadata(ctx)
	switch {
	case httpStatus(err) == http.StatusNotFound && c.CreateDataset:
		f.State, f.Detail = findings.OK, "does not exist; the writer creates it in "+cmp.Or(c.Location, "US")
	case httpStatus(err) == http.StatusNotFound:
		f.Detail = "does not exist"
		f.Remedy = fmt.Sprintf("create it (bq mk --dataset %s:%s), or set bigquery.create_dataset: true", c.Project,
			c.Dataset)
	case httpStatus(err) == http.StatusForbidden:
		f.Detail, f.Remedy = oneLine(err), "give the writer's account roles/bigquery.dataEditor on the dataset"
	case err != nil:
		f.Detail, f.Remedy = oneLine(err), "check the network to the BigQuery API, and bigquery.endpoint.rest"
	case c.Location != "" && !strings.EqualFold(metadata.Location, c.Location):
		f.Detail = fmt.Sprintf("is in %s, bigquery.location says %s", metadata.Location, c.Location)
		f.Remedy = "correct bigquery.location; a dataset cannot move"
	default:
		f.State, f.Detail = findings.OK, "exists"
		if metadata.Location != "" {
			f.Detail += " in " + metadata.Location
		}
		return f, true
	}
	return f, false
}

// checkPermissions asks on a table of the dataset, as BigQuery responds that question for tables; it returns that
// table.
func (s *Sink) checkPermissions(ctx context.Context) (f findings.Finding, table string) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	f = findings.Finding{
		What: "permissions", State: findings.Fail,
		Remedy: "give the writer's account roles/bigquery.dataEditor on the dataset",
	}
	handle, err := s.rest.Dataset(s.config.Dataset).Tables(ctx).Next()
	if errors.Is(err, iterator.Done) {
		f.State, f.Remedy = findings.OK, ""
		f.Detail = "may list tables; there is none yet to ask about, creating one needs bigquery.tables.create"
		return f, ""
	}
	if err != nil {
		f.Detail = "list tables: " + oneLine(err)
		return f, ""
	}
	table = fmt.Sprintf("projects/%s/datasets/%s/tables/%s", handle.ProjectID, handle.DatasetID, handle.TableID)
	have, err := handle.IAM().TestPermissions(ctx, append(slices.Clone(wanted), mayEvolve))
	if err != nil {
		// Some endpoints do not respond that question. Reading the table is the next best.
		if _, err := handle.Metadata(ctx, bigquery.WithMetadataView(bigquery.BasicMetadataView)); err != nil {
			f.Detail = "read table " + handle.TableID + ": " + oneLine(err)
			return f, table
		}
		f.State, f.Detail = findings.Warn,
			"may read table "+handle.TableID+"; whether it may be written could not be asked: "+oneLine(err)
		return f, table
	}
	missing := slices.DeleteFunc(slices.Clone(wanted), func(p string) bool { return slices.Contains(have, p) })
	if len(missing) > 0 {
		f.Detail = "missing on table " + handle.TableID + ": " + strings.Join(missing, ", ")
		return f, table
	}
	if !slices.Contains(have, mayEvolve) {
		f.State, f.Detail = findings.Warn,
			"may read and write table "+handle.TableID+", but "+mayEvolve+
				" is missing: contracts with evolution: additive need it"
		return f, table
	}
	f.State, f.Remedy = findings.OK, ""
	f.Detail = "may read, write and evolve tables, as asked about " + handle.TableID
	return f, table
}

// checkStorage asks the Storage Write API about a default stream: of the table given, or of one that does not exist,
// which gets a response just as well.
func (s *Sink) checkStorage(ctx context.Context, table string) findings.Finding {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	f := findings.Finding{What: "Storage Write API", State: findings.OK, Detail: "responds"}
	target := table
	if target == "" {
		target = tableID{s.config.Project, s.config.Dataset, "waybill_check"}.resource()
	}
	_, err := s.control.GetWriteStream(ctx, &storagepb.GetWriteStreamRequest{Name: target + "/streams/_default"})
	switch code := status.Code(err); {
	case err == nil, code == codes.NotFound && table == "", code == codes.Unimplemented:
	case code == codes.PermissionDenied && table == "" && mayNotExist.MatchString(oneLine(err)):
		f.Detail = "responds; whether rows may be written can be asked once there is a table"
	case code == codes.PermissionDenied || code == codes.Unauthenticated:
		f.State, f.Detail = findings.Fail, oneLine(err)
		f.Remedy = "enable bigquerystorage.googleapis.com in the project, and give the writer's account " +
			"bigquery.tables.updateData"
	default:
		f.State, f.Detail = findings.Fail, oneLine(err)
		f.Remedy = "check the network to bigquerystorage.googleapis.com:443, or bigquery.endpoint.grpc"
	}
	return f
}

// mayNotExist is how BigQuery denies a table that is not there. Without a right it says the same of one that is.
var mayNotExist = regexp.MustCompile(`(?i)may not exist`)

// oneLine is an error's text on one line, of gRPC what it says.
func oneLine(err error) string {
	text := err.Error()
	if s, ok := status.FromError(err); ok && err != nil {
		text = s.Message()
	}
	return strings.Join(strings.Fields(text), " ")
}
