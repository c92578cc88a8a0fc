param(
    [string]$Mode = '',
    [switch]$Force
)
# fleetmedic: values
# Names what holds the memory, and ends or restarts the one process that was named.
#
#   powershell -File fix.ps1 plan             shows what would be done, and changes nothing
#   powershell -File fix.ps1 apply [-Force]   does it; -Force stops what does not end when asked
#   powershell -File fix.ps1 verify           measures whether it helped
#
# Exit codes: 0 done or nothing to do, 1 failed, 2 bad usage, 3 refused. The last line printed is a JSON object.

$Remedy = 'memory_high'
$MayForce = $true
if (-not (Test-Path -Path 'Variable:FM_PID')) { $FM_PID = '' }
if (-not (Test-Path -Path 'Variable:FM_START_TIME')) { $FM_START_TIME = '' }
if (-not (Test-Path -Path 'Variable:FM_MEMORY_BYTES')) { $FM_MEMORY_BYTES = '' }
if (-not (Test-Path -Path 'Variable:FM_ACTION')) { $FM_ACTION = 'report' }
if (-not (Test-Path -Path 'Variable:FM_DROP_CACHES')) { $FM_DROP_CACHES = 'false' }
if (-not (Test-Path -Path 'Variable:FM_MINIMUM_MEMORY_PERCENT')) { $FM_MINIMUM_MEMORY_PERCENT = '10' }
if (-not (Test-Path -Path 'Variable:FM_GRACE_SECONDS')) { $FM_GRACE_SECONDS = '10' }

# ---- What every remedy has: text, the result, the log, its modes ------------------------------------------------

Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'

# A policy may let scripts only use what PowerShell has itself, so that neither a type nor a method is at hand.
if ("$($ExecutionContext.SessionState.LanguageMode)" -ne 'FullLanguage') {
    $Message = 'a policy restricts the language of scripts here, and this one needs all of it'
    $Known = ''
    if (@('plan', 'apply', 'verify') -contains $Mode) { $Known = $Mode }
    Write-Output -InputObject $Message
    Write-Output -InputObject ('{"remedy":"' + $Remedy + '","mode":"' + $Known + '","outcome":"refused","exit_code":3,"message":"' +
        $Message + '","before":{},"after":{},"changed":[]}')
    exit 3
}

if (-not (Test-Path -Path 'Variable:FM_VERSION')) { $FM_VERSION = '' }
if (-not (Test-Path -Path 'Variable:FM_EVENT')) { $FM_EVENT = '' }
if (-not (Test-Path -Path 'Variable:FM_HOST')) { $FM_HOST = '' }
$Before = [ordered]@{}
$After = [ordered]@{}
$Changed = New-Object -TypeName System.Collections.ArrayList
$Ended = $false
$Interrupted = 'interrupted: what was done until then is logged; verify measures how it stands now'

# Return text as one line of printable ASCII, any other character as \uXXXX: names are anybody's.
function ConvertTo-Shown([string]$Text) {
    $Shown = New-Object -TypeName System.Text.StringBuilder
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

function ConvertTo-Kibibytes([long]$Bytes) {
    return [long][Math]::Floor($Bytes / 1024)
}

function ConvertTo-Mebibytes([long]$Bytes) {
    return [long][Math]::Floor($Bytes / 1048576)
}

# Print a line by itself: what a function of PowerShell outputs is what it returns.
function Write-Line([string]$Text) {
    [Console]::Out.WriteLine($Text)
}

# End with a code, an outcome and a message; the last line of the output is the result as JSON.
function Complete-Fix([int]$Code, [string]$Outcome, [string]$Message) {
    $script:Ended = $true
    $Shown = ConvertTo-Shown $Message
    Write-Line $Shown
    $Result = [ordered]@{
        remedy = $Remedy
        mode = (ConvertTo-Shown $Mode)
        outcome = $Outcome
        exit_code = $Code
        message = $Shown
        before = $Before
        after = $After
        changed = $Changed.ToArray()
    }
    Write-Line (ConvertTo-Json -InputObject $Result -Compress -Depth 6)
    exit $Code
}

# Write what is done to the event log, with what it answers.
function Write-Action([string]$Text) {
    $Shown = ConvertTo-Shown $Text
    Write-Line $Shown
    $Answers = $Remedy
    if ($FM_VERSION -ne '') { $Answers += " $FM_VERSION" }
    if ($FM_EVENT -ne '') { $Answers += " for event $FM_EVENT" }
    if ($FM_HOST -ne '') { $Answers += " on $FM_HOST" }
    $Entry = "Fleetmedic: $(ConvertTo-Shown $Answers): $Shown"
    # Only an administrator can make a source of events; the other one is there on every Windows.
    foreach ($Source in 'Fleetmedic', 'Application') {
        try {
            [System.Diagnostics.EventLog]::WriteEntry($Source, $Entry)
            return
        }
        catch {
            continue
        }
    }
    Write-Line '  there is no event log to write that to'
}

# Return a value as a whole number, or end with 2.
function Get-WholeNumber([string]$Name, [string]$Text, [long]$Minimum, [long]$Maximum) {
    $Number = [long]-1
    if ($Text -cmatch '\A(0|[1-9][0-9]{0,17})\z') { $Number = [long]$Text }
    if ($Number -lt $Minimum -or $Number -gt $Maximum) {
        Complete-Fix 2 'usage' "$Name must be a whole number from $Minimum to $Maximum"
    }
    return $Number
}

# End with 3 elsewhere than on Windows: PowerShell 7 runs there too.
function Assert-Windows {
    if ([Environment]::OSVersion.Platform -ne 'Win32NT') {
        Complete-Fix 3 'refused' 'this script is for Windows: on Linux and macOS run the one for bash'
    }
}

function Test-Administrator {
    $Identity = [System.Security.Principal.WindowsIdentity]::GetCurrent()
    $Principal = New-Object -TypeName System.Security.Principal.WindowsPrincipal -ArgumentList $Identity
    return $Principal.IsInRole([System.Security.Principal.WindowsBuiltInRole]::Administrator)
}

# End with the code of a step, which has said by itself how it ended unless it was killed.
function Exit-AfterStep([int]$Code) {
    if ($Code -lt 0 -or $Code -gt 3) { Complete-Fix 1 'failed' $Interrupted }
    $script:Ended = $true
    exit $Code
}

# On a terminal: plan, ask when there is something to do, apply, verify.
function Invoke-Steps([string]$Usage) {
    if ([Console]::IsInputRedirected -or [Console]::IsOutputRedirected) {
        Complete-Fix 2 'usage' "without a terminal say what to do: $Usage"
    }
    $Shell = (Get-Process -Id $PID).Path
    $Last = ''
    & $Shell -NoProfile -ExecutionPolicy Bypass -File $PSCommandPath plan | ForEach-Object -Process {
        $Last = "$_"
        Write-Line $Last
    }
    if ($LASTEXITCODE -ne 0 -or -not $Last.Contains(',"outcome":"planned",')) { Exit-AfterStep $LASTEXITCODE }
    $Answer = Read-Host -Prompt 'Do this? [y/N]'
    if ($Answer -ne 'y' -and $Answer -ne 'yes') { Complete-Fix 0 'nothing' 'nothing was changed: the answer was no' }
    & $Shell -NoProfile -ExecutionPolicy Bypass -File $PSCommandPath apply
    if ($LASTEXITCODE -eq 0) { & $Shell -NoProfile -ExecutionPolicy Bypass -File $PSCommandPath verify }
    Exit-AfterStep $LASTEXITCODE
}

# ---- What every remedy has that ends processes ------------------------------------------------------------------

$Epoch = New-Object -TypeName System.DateTime -ArgumentList 1970, 1, 1

$Windows = @('system', 'idle', 'registry', 'secure system', 'memory compression', 'smss', 'csrss', 'wininit', 'services',
    'lsass', 'lsaiso', 'lsm', 'svchost', 'fontdrvhost', 'msmpeng', 'nissrv', 'mssense', 'wmiprvse', 'spoolsv', 'conhost')
$Installers = @('trustedinstaller', 'tiworker', 'msiexec', 'wuauclt', 'usoclient', 'mousocoreworker')
$Desktop = @('winlogon', 'logonui', 'dwm', 'explorer', 'sihost', 'userinit', 'taskhostw', 'ctfmon', 'rdpclip')
$Databases = @('sqlservr', 'sqlagent', 'msmdsrv', 'mysqld', 'mariadbd', 'postgres', 'mongod', 'mongos', 'oracle', 'tnslsnr',
    'db2syscs', 'redis-server', 'valkey-server', 'memurai', 'influxd', 'clickhouse', 'etcd', 'memcached')
$Hosts = @('sshd', 'dockerd', 'com.docker.backend', 'com.docker.service', 'containerd', 'containerd-shim-runhcs-v1',
    'podman', 'kubelet', 'vmms', 'vmwp', 'vmcompute', 'vmmem', 'vmmemwsl', 'wslservice')

# Return all processes as Windows tells of them, by id.
function Get-AllProcesses {
    $All = @{}
    foreach ($One in Get-CimInstance -ClassName Win32_Process) { $All[[int]$One.ProcessId] = $One }
    return $All
}

# Return when a process started, in Unix seconds; -1 where Windows does not tell.
function Get-Started($One) {
    if ($null -eq $One.CreationDate) { return [long]-1 }
    return [long][Math]::Floor(($One.CreationDate.ToUniversalTime() - $Epoch).TotalSeconds)
}

# Say whether a process is the one that started then; any is where that is not known.
function Test-Same($One, [string]$StartTime) {
    if ($StartTime -eq '') { return $true }
    return [Math]::Abs((Get-Started $One) - [long]$StartTime) -le 2
}

# Return the process of this id that started then, held open so that its id goes to no other one meanwhile; nothing
# when it is gone or is not this user's to end.
function Open-Process([int]$Id, [long]$Started) {
    $Process = Get-Process -Id $Id -ErrorAction SilentlyContinue
    # A property that may not be read is nothing: PowerShell hides the error.
    if ($null -eq $Process -or $null -eq $Process.Handle -or $null -eq $Process.StartTime) { return $null }
    $Seconds = ($Process.StartTime.ToUniversalTime() - $Epoch).TotalSeconds
    if ([Math]::Abs($Seconds - $Started) -gt 2) { return $null }
    return $Process
}

# Return why a process must be left alone; an empty text when it may be touched.
function Get-Protection($One, $All) {
    $Id = [int]$One.ProcessId
    if ($Id -le 4) { return 'it is the system itself' }
    $Ancestor = $PID
    for ($Depth = 0; $Depth -lt 64 -and $All.ContainsKey($Ancestor); $Depth++) {
        if ($Ancestor -eq $Id) { return 'this script runs under it' }
        $Ancestor = [int]$All[$Ancestor].ParentProcessId
    }
    $Name = "$($One.Name)" -replace '\.exe\z', ''
    if ($Windows -contains $Name) { return 'it is part of Windows' }
    if ($Installers -contains $Name) { return 'it installs software, which must not stop half-way' }
    if ($Desktop -contains $Name) { return 'it is the desktop session' }
    if ($Databases -contains $Name) { return 'it is a database' }
    if ($Hosts -contains $Name) { return 'it lets people in, or runs containers or virtual machines' }
    if ("$($One.CommandLine)" -match '[\\/ "]fleetmedic(\.exe)?(["\s]|\z)|\scli\.(main|guardian)(\s|\z)|celery.*fleetmedic') {
        return 'it is part of Fleetmedic'
    }
    if ($null -eq (Open-Process $Id (Get-Started $One))) { return 'this user may not end it: run this as an administrator' }
    return ''
}

# Return the process that was named. Ends the script when it is gone, is another one, or must be left alone.
function Get-Target([int]$Id, [string]$StartTime, $All) {
    if (-not $All.ContainsKey($Id)) { Complete-Fix 0 'nothing' "process $Id has ended by itself" }
    $One = $All[$Id]
    if (-not (Test-Same $One $StartTime)) {
        Complete-Fix 0 'nothing' "the process has ended: its id $Id is now that of another one, which is left alone"
    }
    $Why = Get-Protection $One $All
    if ($Why -ne '') { Complete-Fix 3 'refused' "process $Id ($($One.Name)) is left alone: $Why" }
    return $One
}

# Tell how a process would be ended.
function Write-EndPlan($One, [int]$Grace) {
    $Id = [int]$One.ProcessId
    $Shown = "process $Id ($(ConvertTo-Shown $One.Name))"
    $Process = Open-Process $Id (Get-Started $One)
    if ($null -ne $Process -and $Process.MainWindowHandle -ne [IntPtr]::Zero) {
        Write-Line "Would ask $Shown to end by closing its window, and wait $Grace s for it."
    }
    else {
        Write-Line "Would ask $Shown to end, but it has no window to close: only -Force would end it."
    }
    foreach ($Service in @(Get-CimInstance -ClassName Win32_Service -Filter "ProcessId = $Id")) {
        Write-Line "  it runs the service $(ConvertTo-Shown $Service.Name), which Windows may start again"
    }
}

# Ask a process to end, wait, and only with -Force stop it; note what ended it. Returns whether it is gone.
function Invoke-ApplyEnd($One, [int]$Grace) {
    $Id = [int]$One.ProcessId
    $Done = [ordered]@{ pid = $Id; name = (ConvertTo-Shown $One.Name); action = 'end' }
    $Process = Open-Process $Id (Get-Started $One)
    if ($null -eq $Process) { return $true }
    $Shown = "process $Id ($(ConvertTo-Shown $One.Name))"
    $Asked = $false
    if ($Process.MainWindowHandle -ne [IntPtr]::Zero) {
        Write-Action "asking $Shown to end"
        try {
            $Asked = $Process.CloseMainWindow()
        }
        catch {
            Write-Line "  not asked: $(ConvertTo-Shown $_.Exception.Message)"
        }
    }
    for ($Waited = 0; $Asked -and $Waited -lt 5 * $Grace -and -not $Process.HasExited; $Waited++) {
        [void]$Process.WaitForExit(200)
    }
    if ($Process.HasExited) {
        [void]$Changed.Add($Done)
        return $true
    }
    $What = 'has no window that could be asked to close'
    if ($Asked) { $What = "did not end within $Grace s" }
    if (-not $Force) {
        Write-Line "$Shown ${What}: -Force would stop it"
        return $false
    }
    Write-Action "stopping $Shown, which $What"
    try {
        $Process.Kill()
    }
    catch {
        Write-Line "  not stopped: $(ConvertTo-Shown $_.Exception.Message)"
    }
    if (-not $Process.WaitForExit(5000)) { return $false }
    $Done['action'] = 'kill'
    [void]$Changed.Add($Done)
    return $true
}

# ---- This remedy ------------------------------------------------------------------------------------------------

$LimitPercent = 90

# Return the memory of this machine, total and available, and what may be committed and is not yet, all in bytes.
function Get-Memory {
    $Machine = Get-CimInstance -ClassName Win32_OperatingSystem
    return @{
        total = 1024 * [long]$Machine.TotalVisibleMemorySize
        available = 1024 * [long]$Machine.FreePhysicalMemory
        commit_total = 1024 * [long]$Machine.TotalVirtualMemorySize
        commit_available = 1024 * [long]$Machine.FreeVirtualMemory
    }
}

function Get-MemoryPercent($Memory) {
    return [int][Math]::Floor(100 * ($Memory['total'] - $Memory['available']) / $Memory['total'])
}

# Note the memory among the figures of before or after. Returns the percent in use.
function Add-Memory($Figures, $Memory) {
    $Used = Get-MemoryPercent $Memory
    $Figures.Add('memory_percent', $Used)
    $Figures.Add('total_kib', (ConvertTo-Kibibytes $Memory['total']))
    return $Used
}

# Tell what a process held when the event opened, and holds now, in bytes.
function Write-Growth($One, [long]$Then) {
    $Held = [long]$One.WorkingSetSize
    $More = "$(ConvertTo-Mebibytes ($Held - $Then)) MiB more"
    if ($Held -lt $Then) { $More = "$(ConvertTo-Mebibytes ($Then - $Held)) MiB less" }
    $Was = "held $(ConvertTo-Mebibytes $Then) MiB when the event opened"
    Write-Line "Process $($One.ProcessId) $Was and holds $(ConvertTo-Mebibytes $Held) MiB now: $More."
}

# Tell of the page file and of what Windows may still promise: it is out of memory when that is used up.
function Write-Swap($Memory) {
    $Committed = ConvertTo-Mebibytes ($Memory['commit_total'] - $Memory['commit_available'])
    $MayBe = ConvertTo-Mebibytes $Memory['commit_total']
    Write-Line "$Committed MiB are committed, of $MayBe MiB that may be with the page files."
    $PageFiles = @(Get-CimInstance -ClassName Win32_PageFileUsage)
    if ($PageFiles.Count -eq 0) { Write-Line 'There is no page file.' }
    foreach ($PageFile in $PageFiles) {
        Write-Line "The page file is used at $($PageFile.CurrentUsage) MiB of $($PageFile.AllocatedBaseSize) MiB."
    }
    $Key = 'HKLM:\SYSTEM\CurrentControlSet\Control'
    if ($null -ne (Get-ItemProperty -LiteralPath $Key -Name ContainerType -ErrorAction SilentlyContinue)) {
        Write-Line 'This is a container: a limit of its own is not told here, and may be lower.'
    }
}

# Return the one service that a process runs. Ends the script when there is none, or when there are others beside it.
function Get-OwnService($One) {
    $Services = @(Get-CimInstance -ClassName Win32_Service -Filter "ProcessId = $($One.ProcessId)")
    if ($Services.Count -eq 0) {
        Complete-Fix 3 'refused' "process $($One.ProcessId) runs no service: with the action terminate it would be ended"
    }
    $Name = $Services[0].Name
    if ($Services.Count -gt 1) { Complete-Fix 3 'refused' "process $($One.ProcessId) runs other services beside $Name" }
    $Others = @((Get-Service -Name $Name).DependentServices | Where-Object -FilterScript { "$($_.Status)" -ne 'Stopped' })
    if ($Others.Count -gt 0) {
        Complete-Fix 3 'refused' "service $Name is left alone: it would stop $($Others[0].ServiceName), which runs"
    }
    return $Name
}

# Restart a service, and note what it was done for. Returns whether its old process is gone and it runs.
function Invoke-ApplyRestart([string]$Name, $One, [int]$Grace) {
    $Id = [int]$One.ProcessId
    if ($null -eq (Open-Process $Id (Get-Started $One))) { return $false }
    Write-Action "restarting service $Name, which process $Id ($($One.Name)) runs"
    [void]$Changed.Add([ordered]@{ pid = $Id; name = (ConvertTo-Shown $One.Name); action = 'restart'; service = $Name })
    $Patience = [TimeSpan]::FromSeconds($Grace)
    # What was told to stop must not stay down for having been slow about it: Windows itself waits about two minutes.
    $Stopping = [TimeSpan]::FromSeconds([Math]::Max($Grace, 125))
    try {
        $Service = Get-Service -Name $Name
        $Service.Stop()
        $Service.WaitForStatus('Stopped', $Stopping)
        $Service.Start()
        $Service.WaitForStatus('Running', $Patience)
    }
    catch {
        $Cause = $_.Exception.GetBaseException()
        Write-Line "  $(ConvertTo-Shown $Cause.Message)"
        return $false
    }
    return $null -eq (Open-Process $Id (Get-Started $One))
}

# End the process, or restart the service that it runs, and tell what that gave.
function Invoke-Apply($One, [string]$Service, [int]$Grace) {
    if ($Service -ne '') {
        $Failed = "service $Service was not restarted"
        $Worked = Invoke-ApplyRestart $Service $One $Grace
    }
    else {
        $Failed = "process $($One.ProcessId) did not end"
        $Worked = Invoke-ApplyEnd $One $Grace
    }
    $Now = Add-Memory $After (Get-Memory)
    if (-not $Worked) { Complete-Fix 1 'failed' "$Failed; memory is now used at $Now %" }
    Complete-Fix 0 'done' "done; memory is now used at $Now %"
}

function Invoke-Fix {
    $Id = 0
    if ($FM_PID -ne '') { $Id = [int](Get-WholeNumber 'pid' $FM_PID 2 4194304) }
    $StartTime = $FM_START_TIME.Split('.')[0]
    if ($StartTime -ne '') { [void](Get-WholeNumber 'start_time' $StartTime 0 253402300799) }
    $Then = [long]-1
    if ($FM_MEMORY_BYTES -ne '') {
        $Then = Get-WholeNumber 'memory_bytes' ($FM_MEMORY_BYTES.Split('.')[0]) 0 1000000000000000
    }
    $Minimum = [int](Get-WholeNumber 'minimum_memory_percent' ($FM_MINIMUM_MEMORY_PERCENT.Split('.')[0]) 1 100)
    $Grace = [int](Get-WholeNumber 'grace_seconds' $FM_GRACE_SECONDS 1 300)
    if (@('report', 'terminate', 'restart') -cnotcontains $FM_ACTION) {
        Complete-Fix 2 'usage' 'action must be report, terminate or restart'
    }
    if (@('true', 'false') -cnotcontains $FM_DROP_CACHES) { Complete-Fix 2 'usage' 'drop_caches must be true or false' }
    if ($FM_ACTION -ne 'report' -and $Id -eq 0) {
        Complete-Fix 2 'usage' "pid is needed to $FM_ACTION a process: a whole number from 2 to 4194304"
    }
    Assert-Windows

    $Memory = Get-Memory
    $Used = Add-Memory $Before $Memory
    $All = Get-AllProcesses
    Write-Line "Memory is used at $Used % of $(ConvertTo-Mebibytes $Memory['total']) MiB. The biggest processes:"
    $Rows = New-Object -TypeName System.Collections.ArrayList
    foreach ($One in @($All.Values | Sort-Object -Property WorkingSetSize -Descending | Select-Object -First 10)) {
        $Percent = [int][Math]::Floor(100 * $One.WorkingSetSize / $Memory['total'])
        $Name = ConvertTo-Shown $One.Name
        $Command = ConvertTo-Shown $One.CommandLine
        Write-Line "  $(ConvertTo-Mebibytes $One.WorkingSetSize) MiB  $Percent %  pid $($One.ProcessId)  $Name  $Command"
        [void]$Rows.Add([ordered]@{
            pid = [int]$One.ProcessId; name = $Name; memory_percent = $Percent
            memory_kib = (ConvertTo-Kibibytes $One.WorkingSetSize)
        })
    }
    $Before.Add('processes', $Rows.ToArray())
    Write-Swap $Memory
    if ($Id -gt 0 -and $All.ContainsKey($Id) -and (Test-Same $All[$Id] $StartTime)) {
        $One = $All[$Id]
        if ($Then -ge 0) { Write-Growth $One $Then }
        $Kib = ConvertTo-Kibibytes $One.WorkingSetSize
        $Before.Add('process', [ordered]@{ pid = $Id; name = (ConvertTo-Shown $One.Name); memory_kib = $Kib })
    }
    elseif ($Id -gt 0) {
        Write-Line "Process $Id has ended."
    }

    if ($Mode -eq 'verify') {
        if ($Used -ge $LimitPercent) { Complete-Fix 1 'failed' "memory is still used at $Used %, not below $LimitPercent %" }
        Complete-Fix 0 'done' "memory is used at $Used %, below $LimitPercent %"
    }
    if ($FM_DROP_CACHES -eq 'true') {
        Complete-Fix 3 'refused' 'caches can be dropped on Linux only: Windows counts its cache as available already'
    }
    if ($FM_ACTION -eq 'report') {
        Complete-Fix 0 'nothing' 'this is a report: with the action terminate or restart, and a pid, it would free memory'
    }
    $Target = Get-Target $Id $StartTime $All
    $Own = [int][Math]::Floor(100 * $Target.WorkingSetSize / $Memory['total'])
    if ($Own -lt $Minimum) { Complete-Fix 0 'nothing' "process $Id holds $Own % of the memory, which is below $Minimum %" }
    $Service = ''
    if ($FM_ACTION -eq 'restart') { $Service = Get-OwnService $Target }
    if ($Service -ne '' -and -not (Test-Administrator)) {
        Complete-Fix 3 'refused' 'a service can be restarted by an administrator only'
    }
    if ($Mode -eq 'plan') {
        if ($Service -eq '') {
            Write-EndPlan $Target $Grace
        }
        else {
            Write-Line "Would restart service $Service, which process $Id ($(ConvertTo-Shown $Target.Name)) runs."
        }
        Complete-Fix 0 'planned' 'nothing was changed'
    }
    Invoke-Apply $Target $Service $Grace
}

# ---- What every remedy ends with --------------------------------------------------------------------------------

try {
    $Usage = 'fix.ps1 plan | apply | verify'
    if ($MayForce) { $Usage = 'fix.ps1 plan | apply [-Force] | verify' }
    if ($args.Count -gt 0 -or @('', 'plan', 'apply', 'verify') -notcontains $Mode) { Complete-Fix 2 'usage' "usage: $Usage" }
    if ($Force -and -not ($MayForce -and $Mode -eq 'apply')) { Complete-Fix 2 'usage' "usage: $Usage" }
    if ($Mode -eq '') { Invoke-Steps $Usage }
    Invoke-Fix
}
catch {
    Complete-Fix 1 'failed' "$($_.Exception.Message)"
}
finally {
    # Nothing but Ctrl+C comes here without a result.
    if (-not $Ended) { Complete-Fix 1 'failed' $Interrupted }
}
