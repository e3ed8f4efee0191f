<?php

// Loads all classes of the package in the folder ARGUMENT, uses its messages, and explains an error. The extension grpc is
// not installed, so the base class of the clients is an empty one.

declare(strict_types=1);

namespace Grpc {
    class BaseStub
    {
    }
}

namespace {
    use Google\Protobuf\Any;
    use Google\Protobuf\Duration;
    use Google\Rpc\{BadRequest, ErrorInfo, RequestInfo, RetryInfo, Status};
    use Mountsea\Gemini\{Connection, Failure};
    use Mountsea\Gemini\V1\{Content, GenerateContentRequest, Part};

    [, $package, $rpc] = $argv;
    $folders = json_decode(file_get_contents("$package/composer.json"), true)['autoload']['psr-4'];
    $folders = array_map(fn (string $folder): string => "$package/$folder", $folders);
    // Debian's protobuf, and google.rpc.
    $folders += ['Google\\Rpc\\' => "$rpc/Google/Rpc/", 'Google\\' => '/usr/share/php/Google/'];
    $folders += ['GPBMetadata\\Google\\Rpc\\' => "$rpc/GPBMetadata/Google/Rpc/"];
    $folders += ['GPBMetadata\\' => '/usr/share/php/GPBMetadata/'];
    spl_autoload_register(function (string $class) use ($folders): void {
        foreach ($folders as $prefix => $folder) {
            $file = $folder . str_replace('\\', '/', substr($class, strlen($prefix))) . '.php';
            if (str_starts_with($class, $prefix) && is_file($file)) {
                require_once $file;
                return;
            }
        }
    });

    $loaded = 0;
    foreach ($folders as $prefix => $folder) {
        if (!str_starts_with($folder, $package)) {
            continue;
        }
        foreach (new RecursiveIteratorIterator(new RecursiveDirectoryIterator($folder)) as $file) {
            if ($file->getExtension() === 'php') {
                $path = substr($file->getPathname(), strlen($folder), -4);
                class_exists($prefix . str_replace('/', '\\', $path)) || exit("no class in $file\n");
                $loaded++;
            }
        }
    }
    echo "loaded: $loaded\n";

    $request = new GenerateContentRequest([
        'model' => 'gemini-2.5-flash',
        'contents' => [new Content(['role' => 'user', 'parts' => [new Part(['text' => 'hello'])]])],
    ]);
    $copy = new GenerateContentRequest();
    $copy->mergeFromString($request->serializeToString());
    echo 'copied: ', $copy->getContents()[0]->getParts()[0]->getText(), "\n";

    $violation = new BadRequest\FieldViolation(['field' => 'a.b', 'description' => 'too high']);
    $delay = new Duration(['seconds' => 3, 'nanos' => 500_000_000]);
    $details = [
        new BadRequest(['field_violations' => [$violation]]),
        new RetryInfo(['retry_delay' => $delay]),
        new RequestInfo(['request_id' => 'id']),
        new ErrorInfo(['reason' => 'REQUEST_INVALID']),
    ];
    $packed = array_map(function (object $detail): Any {
        $any = new Any();
        $any->pack($detail);
        return $any;
    }, $details);
    $bytes = (new Status(['details' => $packed]))->serializeToString();
    $failure = Failure::explain((object) ['code' => 3, 'metadata' => ['grpc-status-details-bin' => [$bytes]]]);
    $first = $failure->violations[0];
    echo "explained: $failure->code, $failure->reason, {$first->getField()}: {$first->getDescription()}, ";
    echo "$failure->retryDelay, $failure->requestId\n";
}
