param(
    [string]$Mode = ''
)
# fleetmedic: values
# Makes room on a drive by removing what is safe to remove.
#
#   powershell -File fix.ps1 plan             shows what would be done, and changes nothing
#   powershell -File fix.ps1 apply            does it
#   powershell -File fix.ps1 verify           measures whether it helped
#
# Exit codes: 0 done or nothing to do, 1 failed, 2 bad usage, 3 refused. The last line printed is a JSON object.

$Remedy = 'disk_full'
if (-not (Test-Path -Path 'Variable:FM_MOUNT')) { $FM_MOUNT = '/' }
if (-not (Test-Path -Path 'Variable:FM_OLDER_THAN_DAYS')) { $FM_OLDER_THAN_DAYS = '7' }
if (-not (Test-Path -Path 'Variable:FM_JOURNAL_KEEP_MEBIBYTES')) { $FM_JOURNAL_KEEP_MEBIBYTES = '200' }
if (-not (Test-Path -Path 'Variable:FM_INCLUDE_CONTAINERS')) { $FM_INCLUDE_CONTAINERS = 'false' }
if (-not (Test-Path -Path 'Variable:FM_DIRECTORY')) { $FM_DIRECTORY = '' }
if (-not (Test-Path -Path 'Variable:FM_DIRECTORY_BYTES')) { $FM_DIRECTORY_BYTES = '' }

Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'

# ---- What every remedy has: text, the result, guards ------------------------------------------------------------

$Before = New-Object System.Collections.Specialized.OrderedDictionary
$After = New-Object System.Collections.Specialized.OrderedDictionary
$Changed = New-Object System.Collections.ArrayList

# Return text as one line of printable ASCII, any other character as \uXXXX: names are anybody's.
function ConvertTo-Shown([string]$Text) {
    $Shown = New-Object System.Text.StringBuilder
    foreach ($Character in $Text.ToCharArray()) {
        if ($Shown.Length -ge 200) { break }
        $Code = [int]$Character
        if ($Code -ge 32 -and $Code -le 126) {
            [void]$Shown.Append($Character)
        }
        else {
            [void]$Shown.Append('\u' + $Code.ToString('x4'))
        }
    }
    return $Shown.ToString()
}

function Write-Line([string]$Text) {
    [Console]::Out.WriteLine($Text)
}

# End with a code, an outcome and a message; the last line of the output is the result as JSON.
function Complete-Fix([int]$Code, [string]$Outcome, [string]$Message) {
    $Shown = ConvertTo-Shown $Message
    Write-Line $Shown
    $Result = New-Object System.Collections.Specialized.OrderedDictionary
    $Result.Add('remedy', $Remedy)
    $Result.Add('mode', (ConvertTo-Shown $Mode))
    $Result.Add('outcome', $Outcome)
    $Result.Add('exit_code', $Code)
    $Result.Add('message', $Shown)
    $Result.Add('before', $Before)
    $Result.Add('after', $After)
    $Result.Add('changed', $Changed.ToArray())
    Write-Line (ConvertTo-Json -InputObject $Result -Compress -Depth 6)
    exit $Code
}

trap {
    Complete-Fix 1 'failed' "$($_.Exception.Message)"
}

# Return a value as a whole number, or end with 2.
function Get-WholeNumber([string]$Name, [string]$Text, [int]$Minimum, [int]$Maximum) {
    $Number = 0
    $Plain = $Text.Split('.')[0]
    if (-not [int]::TryParse($Plain, [ref]$Number) -or $Number -lt $Minimum -or $Number -gt $Maximum) {
        Complete-Fix 2 'usage' "$Name must be a whole number from $Minimum to $Maximum"
    }
    return $Number
}

function Test-Administrator {
    $Identity = [System.Security.Principal.WindowsIdentity]::GetCurrent()
    $Principal = New-Object System.Security.Principal.WindowsPrincipal($Identity)
    return $Principal.IsInRole([System.Security.Principal.WindowsBuiltInRole]::Administrator)
}

# Write what is done to the event log, where it may be written.
function Write-Action([string]$Text) {
    Write-Line $Text
    try {
        [System.Diagnostics.EventLog]::WriteEntry('Fleetmedic', "${Remedy}: $Text")
    }
    catch {
        Write-Verbose 'the event log has no source Fleetmedic'
    }
}

if ($args.Count -gt 0 -or @('', 'plan', 'apply', 'verify') -notcontains $Mode) {
    Complete-Fix 2 'usage' 'usage: fix.ps1 plan | apply | verify'
}
if ($Mode -eq '') {
    if ([Console]::IsInputRedirected -or [Console]::IsOutputRedirected) {
        Complete-Fix 2 'usage' 'without a terminal say what to do: plan | apply | verify'
    }
    $Shell = (Get-Process -Id $PID).Path
    & $Shell -NoProfile -ExecutionPolicy Bypass -File $PSCommandPath plan
    if ($LASTEXITCODE -ne 0) { exit $LASTEXITCODE }
    $Answer = Read-Host 'Do this? [y/N]'
    if ($Answer -ne 'y' -and $Answer -ne 'yes') {
        Write-Line 'Nothing was changed.'
        exit 0
    }
    & $Shell -NoProfile -ExecutionPolicy Bypass -File $PSCommandPath apply
    if ($LASTEXITCODE -ne 0) { exit $LASTEXITCODE }
    & $Shell -NoProfile -ExecutionPolicy Bypass -File $PSCommandPath verify
    exit $LASTEXITCODE
}

# ---- This remedy ------------------------------------------------------------------------------------------------

$Days = Get-WholeNumber 'older_than_days' $FM_OLDER_THAN_DAYS 1 3650
[void](Get-WholeNumber 'journal_keep_mebibytes' $FM_JOURNAL_KEEP_MEBIBYTES 16 100000)
if (@('true', 'false') -notcontains $FM_INCLUDE_CONTAINERS) {
    Complete-Fix 2 'usage' 'include_containers must be true or false'
}
$Mount = $FM_MOUNT
if ($Mount -eq '/') { $Mount = $env:SystemDrive }
if ($Mount -notmatch '^[A-Za-z]:\\?$') { Complete-Fix 2 'usage' "mount must be a drive such as C:, not $Mount" }
$Drive = $Mount.Substring(0, 2).ToUpperInvariant()
$LimitPercent = 85

# Return used percent and free bytes of the drive.
function Get-Space {
    $Disk = Get-CimInstance -ClassName Win32_LogicalDisk -Filter "DeviceID = '$Drive'"
    if ($null -eq $Disk -or [long]$Disk.Size -eq 0) { Complete-Fix 2 'usage' "mount: there is no drive $Drive" }
    return @{ percent = [int][Math]::Floor(100 * ($Disk.Size - $Disk.FreeSpace) / $Disk.Size); free = [long]$Disk.FreeSpace }
}

$Space = Get-Space
Write-Line "Drive $Drive is used at $($Space['percent']) %, with $([int]($Space['free'] / 1048576)) MiB left."
if ($FM_DIRECTORY -ne '') {
    Write-Line "Grew fastest when the event opened: $(ConvertTo-Shown $FM_DIRECTORY), with $FM_DIRECTORY_BYTES bytes then"
}
$Before.Add('used_percent', $Space['percent'])
$Before.Add('available_kib', [long]($Space['free'] / 1024))
if ($Mode -eq 'verify') {
    if ($Space['percent'] -gt $LimitPercent) {
        Complete-Fix 1 'failed' "still used at $($Space['percent']) %, above $LimitPercent %"
    }
    Complete-Fix 0 'done' "used at $($Space['percent']) %, not above $LimitPercent %"
}

# Return the directories of the drive that may be cleaned, with what they hold and how old it must be in days.
function Get-Roots {
    $Roots = New-Object System.Collections.ArrayList
    [void]$Roots.Add(@{ what = 'temporary files'; path = (Join-Path $env:SystemRoot 'Temp'); days = $Days })
    [void]$Roots.Add(@{ what = 'updates that were downloaded'; path = (Join-Path $env:SystemRoot 'SoftwareDistribution\Download'); days = $Days })
    [void]$Roots.Add(@{ what = 'crash dumps'; path = (Join-Path $env:SystemRoot 'Minidump'); days = $Days })
    [void]$Roots.Add(@{ what = 'error reports'; path = (Join-Path $env:ProgramData 'Microsoft\Windows\WER\ReportArchive'); days = $Days })
    [void]$Roots.Add(@{ what = 'error reports'; path = (Join-Path $env:ProgramData 'Microsoft\Windows\WER\ReportQueue'); days = $Days })
    foreach ($Account in @(Get-CimInstance -ClassName Win32_UserProfile -Filter 'Special = False')) {
        if ($null -eq $Account.LocalPath) { continue }
        [void]$Roots.Add(@{ what = 'temporary files'; path = (Join-Path $Account.LocalPath 'AppData\Local\Temp'); days = $Days })
        [void]$Roots.Add(@{ what = 'crash dumps'; path = (Join-Path $Account.LocalPath 'AppData\Local\CrashDumps'); days = $Days })
    }
    return @($Roots | Where-Object -FilterScript { $_['path'].StartsWith($Drive, [StringComparison]::OrdinalIgnoreCase) })
}

# Return the old files below a directory. Links and junctions are not followed.
function Get-OldFiles([string]$Path, [int]$OlderThanDays) {
    $Found = New-Object System.Collections.ArrayList
    $Oldest = (Get-Date).AddDays(-$OlderThanDays)
    $Waiting = New-Object System.Collections.Queue
    $Waiting.Enqueue($Path)
    while ($Waiting.Count -gt 0) {
        $Folder = Get-Item -LiteralPath $Waiting.Dequeue() -Force -ErrorAction SilentlyContinue
        if ($null -eq $Folder -or ($Folder.Attributes -band [IO.FileAttributes]::ReparsePoint)) { continue }
        foreach ($Item in @(Get-ChildItem -LiteralPath $Folder.FullName -Force -ErrorAction SilentlyContinue)) {
            if ($Item.Attributes -band [IO.FileAttributes]::ReparsePoint) { continue }
            if ($Item.PSIsContainer) {
                $Waiting.Enqueue($Item.FullName)
            }
            elseif ($Item.LastWriteTime -lt $Oldest -and $Item.CreationTime -lt $Oldest) {
                [void]$Found.Add($Item)
            }
        }
    }
    return $Found.ToArray()
}

function Get-TotalSize($Files) {
    $Sum = [long]0
    foreach ($File in $Files) { $Sum += $File.Length }
    return $Sum
}

# Remove files; one that a program has open is left alone.
function Invoke-ApplyRemoval($Root, $Files) {
    Write-Action "removing $($Files.Count) of $($Root['what']) below $(ConvertTo-Shown $Root['path'])"
    $Removed = 0
    $Freed = [long]0
    foreach ($File in $Files) {
        try {
            Remove-Item -LiteralPath $File.FullName -Force
            $Removed += 1
            $Freed += $File.Length
        }
        catch {
            Write-Verbose 'in use, left alone'
        }
    }
    Write-Line "  removed $Removed of $($Files.Count), freed $([int]($Freed / 1048576)) MiB"
    [void]$Changed.Add(@{ action = 'remove'; what = $Root['what']; root = (ConvertTo-Shown $Root['path']); files = $Removed; freed_kib = [long]($Freed / 1024) })
}

function Invoke-ApplyPrune {
    Write-Action 'running docker system prune --force'
    & docker system prune --force | Out-Null
    [void]$Changed.Add(@{ action = 'run'; what = 'docker system prune' })
}

if ($Mode -eq 'plan') {
    Write-Line 'What takes the most room at the top of it, in MiB:'
    $Tops = foreach ($Folder in @(Get-ChildItem -LiteralPath "$Drive\" -Directory -Force -ErrorAction SilentlyContinue)) {
        if (-not ($Folder.Attributes -band [IO.FileAttributes]::ReparsePoint)) {
            New-Object PSObject -Property @{ Name = $Folder.Name; Size = (Get-TotalSize (Get-OldFiles $Folder.FullName 0)) }
        }
    }
    foreach ($Top in @($Tops | Where-Object -FilterScript { $null -ne $_ } | Sort-Object -Property Size -Descending | Select-Object -First 10)) {
        Write-Line "  $([int]($Top.Size / 1048576))  $(ConvertTo-Shown $Top.Name)"
    }
}
elseif (-not (Test-Administrator)) {
    Complete-Fix 3 'refused' 'the files of Windows can be removed by an administrator only'
}

Write-Line "What is safe to remove, older than $Days days:"
$Steps = 0
$Planned = [long]0
foreach ($Root in Get-Roots) {
    $Files = @(Get-OldFiles $Root['path'] $Root['days'])
    if ($Files.Count -eq 0) { continue }
    $Steps += 1
    if ($Mode -eq 'plan') {
        $Size = Get-TotalSize $Files
        $Planned += $Size
        Write-Line "  would remove $($Files.Count) of $($Root['what']) below $(ConvertTo-Shown $Root['path']): $([int]($Size / 1048576)) MiB"
    }
    else {
        Invoke-ApplyRemoval $Root $Files
    }
}
if ($FM_INCLUDE_CONTAINERS -eq 'true' -and $null -ne (Get-Command -Name docker -ErrorAction SilentlyContinue)) {
    $Steps += 1
    if ($Mode -eq 'plan') { Write-Line '  would run: docker system prune --force' } else { Invoke-ApplyPrune }
}

if ($Steps -eq 0) {
    $After.Add('used_percent', $Space['percent'])
    Complete-Fix 0 'nothing' 'nothing that is safe to remove lies on this drive: the list of the biggest tells what fills it'
}
if ($Mode -eq 'plan') { Complete-Fix 0 'planned' "nothing was changed; about $([int]($Planned / 1048576)) MiB would be freed" }
$Now = Get-Space
$After.Add('used_percent', $Now['percent'])
$After.Add('available_kib', [long]($Now['free'] / 1024))
Complete-Fix 0 'done' "freed $([int](($Now['free'] - $Space['free']) / 1048576)) MiB; used at $($Now['percent']) % now"
