"""Python itself: builtins and the standard library, as far as they touch keys, copies and the world."""

TABLE = """
builtins.print(x): effect print; returns none
builtins.input(prompt): effect input; returns str
builtins.open(file): effect io; returns file
{gzip,bz2,lzma,codecs,tarfile,zipfile}.open(file): effect io; returns file
@path.open(mode): effect io; returns file
@path.{write_text,write_bytes,read_text,read_bytes,unlink,mkdir,touch}(data): effect io; returns opaque
@file.{read,readline,readlines,seek,close,__enter__}(n): returns opaque
@file.{write,writelines,writerow,writerows,truncate}(data): effect io; returns opaque
@file.flush(): returns none
csv.{writer,DictWriter}(file): returns file
builtins.breakpoint(): effect breakpoint; returns none
{pdb,ipdb,pudb}.{set_trace,post_mortem}(): effect breakpoint; returns none
builtins.{len,int,ord,sum,round}(x): returns number
builtins.{hash,id}(obj): returns entropy
builtins.{issubclass,hasattr,callable,bool,all,any}(x): returns bool
builtins.{str,repr,format,ascii,chr}(x): returns str
builtins.vars(x): returns dict
builtins.{abs,divmod,max,min,pow}(x): returns arithmetic
builtins.{type,dir,getattr,setattr,delattr,super,object,iter,float,complex,
    bytes,slice,property,staticmethod,classmethod,globals,locals,filter,memoryview,
    bytearray}(x): returns opaque
builtins.{Exception,ValueError,TypeError,KeyError,RuntimeError,NotImplementedError,IndexError,
    AssertionError,AttributeError,StopIteration,OSError,ImportError,UserWarning,
    DeprecationWarning}(x): returns opaque

copy.copy(x): returns copy x
copy.deepcopy(x): returns deep
copy.replace(obj): returns copy obj; pure; succeeds obj
dataclasses.replace(obj): returns copy obj; pure; succeeds obj
dataclasses.{field,fields,asdict,astuple,is_dataclass,dataclass,make_dataclass}(x): returns opaque

logging.{debug,info,warning,warn,error,critical,exception,log}(msg): effect log; returns none
logging.{getLogger,Logger}(name): returns logger
absl.logging.{debug,info,warning,warn,error,fatal,exception,log,log_first_n,log_every_n,
    vlog}(msg): effect log; returns none
loguru.logger.{debug,info,warning,error,critical,exception,log,trace,success}(msg): effect log; returns none
@*.{debug,info,warning,error,exception,critical,fatal}(msg): returns none
@logger.{debug,info,warning,warn,error,critical,exception,log}(msg): effect log; returns none

time.{sleep}(x): effect sleep; returns none
os.{remove,rename,makedirs,mkdir,rmdir,unlink,system}(x): effect io; returns opaque
shutil.{rmtree,copy,copyfile,copytree,move}(x): effect io; returns opaque
os.{getenv,putenv,unsetenv}(key): effect environ; returns str
os.environ.{get,__getitem__,__setitem__,__delitem__,pop,setdefault,update}(key): effect environ; returns str
subprocess.{run,call,check_call,check_output,Popen,getoutput}(args): effect io; returns opaque
urllib.request.{urlopen,urlretrieve}(url): effect io; returns opaque
socket.{socket,create_connection}(address): effect io; returns opaque
numpy.{load,loadtxt,genfromtxt,fromfile}(file): effect io; returns numpy
pickle.{dump}(obj, file): effect io; returns none
json.{dump}(obj, file): effect io; returns none
sys.{stdout,stderr}.{write}(x): effect print; returns none
sys.{stdout,stderr}.flush(): effect print; returns none
pprint.{pprint,pp}(x): effect print; returns none
{tensorboardX,torch.utils.tensorboard,torch.utils.tensorboard.writer,
    flax.metrics.tensorboard}.SummaryWriter(log_dir): returns writer
clu.metric_writers.{create_default_writer,SummaryWriter,LoggingWriter,AsyncWriter,MultiWriter}(logdir): returns writer
@writer.*(tag, value): effect log; returns none
tensorflow.summary.{scalar,image,histogram,text}(name, data): effect log; returns none
wandb.log(data): effect log; returns none
wandb.{init,finish,save}(x): effect io; returns opaque
mlflow.{log_metric,log_metrics,log_param,log_params,log_artifact}(key): effect log; returns opaque
mlflow.{start_run,end_run}(x): effect io; returns opaque
@progress.{update,set_description,set_description_str,set_postfix,set_postfix_str,refresh,write}(x): effect print; returns none
{tqdm.tqdm,tqdm.auto.tqdm,tqdm.notebook.tqdm,rich.progress.track}(iterable): returns progress iterable
@progress.{close,reset,clear,__enter__}(x): returns opaque
{rich.print,rich.print_json,tqdm.tqdm.write,tqdm.auto.tqdm.write}(x): effect print; returns none
matplotlib.pyplot.{savefig,show,imsave}(x): effect io; returns none
torch.{save,load}(obj, file): effect io; returns opaque
{joblib,cloudpickle,dill}.dump(obj, file): effect io; returns none
{requests,httpx}.{get,post,put,patch,delete,request}(url): effect io; returns opaque
warnings.{warn,simplefilter,filterwarnings}(x): returns none

pytest.raises(expected_exception): returns raises
contextlib.suppress(exception): returns raises
numpy.testing.{assert_raises,assert_raises_regex}(exception): returns raises
@*.{assertRaises,assertRaisesRegex,assertRaisesWithLiteralMatch,assertRaisesWithPredicateMatch}(exception): returns raises

os.{listdir,scandir}(path): returns unordered
os.{walk,fwalk}(top): returns walk
@path.walk(): returns walk
glob.{glob,iglob}(pathname): returns unordered
{pathlib,etils.epath}.{Path,PurePath,PosixPath}(path): returns path
pathlib.Path.{cwd,home}(): returns path
@path.{iterdir,glob,rglob}(pattern): returns unordered
@*.{iterdir,rglob}(pattern): returns unordered
@set.{union,difference,intersection,symmetric_difference,copy}(): returns copy self
@path.{joinpath,resolve,absolute,expanduser,with_suffix,with_name,relative_to}(x): returns path

heapq.{heappush,heappop,heapify,heapreplace,heappushpop}(heap): mutates heap; returns opaque
bisect.{insort,insort_left,insort_right}(a, x): mutates a; returns none

functools.reduce(function, sequence): returns opaque
itertools.*(x): returns opaque
math.*(x): returns number
builtins.int.from_bytes(x): returns number
@entropy.*(): returns entropy
operator.*(x): returns opaque
typing.*(x): returns opaque
collections.{Counter,defaultdict,OrderedDict}(x): returns dict
collections.*(x): returns opaque
os.*(x): returns opaque
time.{time,time_ns,perf_counter,perf_counter_ns,monotonic,monotonic_ns,process_time}(): returns entropy; effect clock
datetime.datetime.{now,utcnow,today}(tz): returns entropy; effect clock
time.*(x): returns number
random.Random(seed): returns generator seed
random.{seed,setstate}(a): effect seed; returns none
random.SystemRandom(x): returns entropy
random.{shuffle,choice,choices,sample}(x): returns entropy; effect host-rng; ordered x
random.*(x): returns entropy; effect host-rng
secrets.*(x): returns entropy; effect host-rng
uuid.{uuid1,uuid4}(x): returns entropy; effect host-rng
os.{urandom,getrandom}(n): returns entropy; effect host-rng
os.getpid(): returns entropy
warnings.*(x): returns opaque
"""
